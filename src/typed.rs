//! Calls whose types are checked by the compiler and, when the pool starts, against Python's
//! signatures. The main item is the macro [`functions!`](crate::functions).

mod argument;
mod call;
mod of_type;

pub use call::TypedCall;

use crate::backend::declared::Declared;
use crate::config::PoolConfig;
use crate::error::StartError;
use crate::pool::Pool;

/// The items that the macro's code uses. They are not part of the interface.
#[doc(hidden)]
pub mod private {
    pub use crate::backend::declared::{Declared, Parameter};
    pub use crate::typed::Checked;
    pub use crate::typed::argument::{Keywords, plain_name};
    pub use crate::typed::of_type::{ByNothing, ByReference, ByValue, Of, kinds_of};
}

/// A handle of a pool whose workers have the functions that [`functions!`](crate::functions)
/// declared.
pub trait Functions: Sized {
    /// The declared functions.
    #[doc(hidden)]
    fn declared() -> Vec<Declared>;

    /// Makes the handle of a pool that has been checked.
    #[doc(hidden)]
    fn of(pool: Checked) -> Self;
}

/// A pool whose workers have the declared functions. Only the check creates one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Checked(Pool);

impl Checked {
    /// The pool.
    #[must_use]
    pub fn into_pool(self) -> Pool {
        self.0
    }
}

impl Pool {
    /// Starts a pool and checks that its workers have the functions that
    /// [`functions!`](crate::functions) declared.
    ///
    /// # Errors
    /// [`StartError::Signature`] if a function is missing or its signature does not fit; no process
    /// is left running. Otherwise the errors of [`Pool::start`].
    pub async fn start_typed<F: Functions>(config: PoolConfig) -> Result<F, StartError> {
        let pool = Self::start(config).await?;
        let typed = pool.typed();
        if typed.is_err() {
            pool.shutdown_within(std::time::Duration::ZERO).await;
        }
        typed
    }

    /// Returns a handle with the functions that [`functions!`](crate::functions) declared, after
    /// checking them against the worker that became ready last. One pool can have several such
    /// handles. Workers that start later must have the functions too: a [`Pool::reload`] of code
    /// that does not fit fails with this error, and the old workers keep serving.
    ///
    /// # Errors
    /// [`StartError::Signature`] if a function is missing or its signature does not fit.
    pub fn typed<F: Functions>(&self) -> Result<F, StartError> {
        let declared = F::declared();
        self.check(&declared)?;
        self.require(declared);
        Ok(F::of(Checked(self.clone())))
    }
}

/// Declares functions of a worker, so that calls of them are typed.
///
/// The macro declares a struct, a handle of a pool whose workers have these functions, with a
/// method for each. A method returns a [`TypedCall`], which has setters such as `.timeout(…)` and
/// `.idempotent()`, and is sent when it is first polled: awaited, spawned or joined. The struct has
/// no other methods, so functions may have any name. `as_ref()` is the [`Pool`](crate::Pool), for
/// `status()`, `shutdown()` and the rest.
///
/// ```no_run
/// use actix_pyproc::{Pool, PoolConfig};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Input {
///     value: i64,
/// }
///
/// #[derive(Deserialize)]
/// struct Prediction {
///     result: i64,
/// }
///
/// actix_pyproc::functions! {
///     /// The functions of worker.py.
///     pub struct Model {
///         /// Doubles the value.
///         fn predict(input: Input) -> Prediction;
///         fn divide(a: f64, b: f64) -> f64;
///         fn thumbnail(image: bytes::Bytes) -> bytes::Bytes as bytes;
///         fn embed(texts: &[String]) -> Vec<Vec<f32>> as msgpack = "model.embed";
///         fn forget();
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let model: Model = Pool::start_typed(PoolConfig::new("worker.py")).await?;
/// let out: Prediction = model.predict(Input { value: 42 }).await?;
/// let half = model.divide(1.0, 2.0).timeout(std::time::Duration::from_secs(1)).await?;
/// model.as_ref().shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// One argument is sent as it is, and several as an object with their names. A call without
/// arguments is [`Call::empty`](crate::Call::empty). The encoding is JSON, unless `as msgpack` or
/// `as bytes` follows the result type; with `as bytes` there is one argument that converts into
/// [`Bytes`](bytes::Bytes). `= "name"` gives the Python name of a function if it is not an
/// identifier in Rust.
///
/// # What is checked
/// The compiler checks the arguments and the result:
///
/// ```compile_fail,E0308
/// # actix_pyproc::functions! { struct Model { fn divide(a: f64, b: f64) -> f64; } }
/// async fn call(model: &Model) -> Result<f64, actix_pyproc::CallError> {
///     model.divide("one", 2.0).await
/// }
/// ```
///
/// [`Pool::start_typed`](crate::Pool::start_typed) and [`Pool::typed`](crate::Pool::typed) check
/// the declarations against Python when a worker is ready. Each function must exist and accept the
/// number of arguments. Several arguments must have the names of its parameters, and no parameter
/// without a default may be missing: `fn f(a: i64, b: i64)` fits `def f(a, b=2)` and `def f(a, *,
/// b=2)`. One argument must be a value of the first parameter, if the others have defaults, or a
/// struct with the names of the parameters. A list that Python would spread over its parameters
/// does not fit.
///
/// Types are compared where both sides declare one. Python declares it with annotations such as
/// `int`, `list[str]`, `Optional[dict]`, or a class that the worker converts; other classes are not
/// compared. In Rust it is the kind of value that serde reads the type from: an integer, a float, a
/// string, a list, an object. Types that are only `Serialize` are not compared, nor are the items
/// of lists and objects. In JSON, Python's `bytes` are a string in base64. A mismatch is a
/// [`StartError::Signature`](crate::StartError::Signature) that names both sides:
///
/// ```text
/// predict: Rust sends (input: Input), Python takes (req: dict, scale: float): `req` is missing
/// ```
///
/// Calls of a function whose signature is unknown, such as some in C, are not checked.
///
/// Workers that start later are checked too: a [`Pool::reload`](crate::Pool::reload) of code that
/// does not fit fails with the same error, and the old workers keep serving.
#[macro_export]
macro_rules! functions {
    ($(
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[$meta:meta])*
                fn $function:ident($($parameter:ident: $type:ty),* $(,)?)
                    $(-> $result:ty)? $(as $codec:ident)? $(= $python:literal)?;
            )*
        }
    )+) => {$(
        $(#[$outer])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            pool: $crate::Pool,
        }

        impl $name {
            $(
                $(#[$meta])*
                $vis fn $function(&self, $($parameter: $type),*)
                    -> $crate::typed::TypedCall<$crate::__typed_result!($($result)?)>
                {
                    $crate::typed::TypedCall::new(
                        &self.pool,
                        $crate::__typed_call!(
                            [$($codec)?] $crate::__typed_name!($function $($python)?), $($parameter),*
                        ),
                    )
                }
            )*
        }

        impl $crate::typed::Functions for $name {
            fn declared() -> ::std::vec::Vec<$crate::__typed::Declared> {
                #[allow(unused_imports, reason = "the types decide which of them are used")]
                use $crate::__typed::{ByNothing as _, ByReference as _, ByValue as _};
                ::std::vec![$($crate::__typed::Declared {
                    name: $crate::__typed_name!($function $($python)?),
                    parameters: ::std::vec![$($crate::__typed::Parameter {
                        name: $crate::__typed::plain_name(::std::stringify!($parameter)),
                        type_name: ::std::stringify!($type),
                        shape: (&&&$crate::__typed::Of::<$type>::TYPE).shape(),
                    }),*],
                    result: $crate::__typed_text!($($result)?),
                    result_kinds: $crate::__typed::kinds_of::<$crate::__typed_result!($($result)?)>(),
                    codec: $crate::__typed_codec!([$($codec)?]),
                }),*]
            }

            fn of(pool: $crate::__typed::Checked) -> Self {
                Self { pool: pool.into_pool() }
            }
        }

        impl ::std::convert::AsRef<$crate::Pool> for $name {
            fn as_ref(&self) -> &$crate::Pool {
                &self.pool
            }
        }
    )+};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_result {
    () => {
        ()
    };
    ($result:ty) => {
        $result
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_text {
    () => {
        "()"
    };
    ($result:ty) => {
        ::std::stringify!($result)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_name {
    ($function:ident) => {
        $crate::__typed::plain_name(::std::stringify!($function))
    };
    ($function:ident $python:literal) => {
        $python
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_codec {
    ([]) => {
        $crate::Codec::Json
    };
    ([msgpack]) => {
        $crate::Codec::Msgpack
    };
    ([bytes]) => {
        $crate::Codec::Bytes
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_call {
    ([] $name:expr,) => {
        ::std::result::Result::Ok($crate::Call::empty($name))
    };
    ([msgpack] $name:expr,) => {
        ::std::result::Result::Ok($crate::Call::empty_msgpack($name))
    };
    ([] $name:expr, $($argument:ident),*) => {
        $crate::Call::json($name, &$crate::__typed_argument!($($argument),*))
    };
    ([msgpack] $name:expr, $($argument:ident),*) => {
        $crate::Call::msgpack($name, &$crate::__typed_argument!($($argument),*))
    };
    ([bytes] $name:expr, $argument:ident) => {
        ::std::result::Result::Ok($crate::Call::bytes($name, $argument))
    };
    ([bytes] $($rest:tt)*) => { ::std::compile_error!("a function `as bytes` takes one argument") };
    ([$codec:ident] $($rest:tt)*) => { ::std::compile_error!("the codec must be `as msgpack` or `as bytes`") };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_argument {
    ($argument:ident) => { $argument };
    ($($argument:ident),+) => { $crate::__typed::Keywords($crate::__typed_entries!($($argument)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_entries {
    () => { () };
    ($first:ident $($rest:ident)*) => {
        (
            $crate::__typed::plain_name(::std::stringify!($first)),
            &$first,
            $crate::__typed_entries!($($rest)*),
        )
    };
}
