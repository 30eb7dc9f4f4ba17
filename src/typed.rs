//! Calls whose types are checked: by the compiler, and against Python's signatures when the pool
//! starts. The main item is the macro [`functions!`](crate::functions).

mod argument;
mod call;
pub(crate) mod check;
mod kinds;
mod of_type;

pub use call::TypedCall;

use crate::{Codec, Pool, PoolConfig, StartError};

/// What the macro's code uses. It is no part of the interface.
#[doc(hidden)]
pub mod private {
    pub use super::argument::{Keywords, plain_name};
    pub use super::of_type::{ByNothing, ByReference, ByValue, Of, kinds_of};
    pub use super::{Checked, Declared, Parameter};
}

/// Functions of a worker that were declared with [`functions!`](crate::functions): a handle of a
/// pool that has them.
pub trait Functions: Sized {
    /// What was declared.
    #[doc(hidden)]
    fn declared() -> Vec<Declared>;

    /// The handle.
    #[doc(hidden)]
    fn of(pool: Checked) -> Self;
}

/// A pool whose workers have the functions that were declared. Only the check makes one.
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

/// A function as it was declared in Rust.
#[doc(hidden)]
#[derive(Debug, PartialEq)]
pub struct Declared {
    /// The name that Python knows.
    pub name: &'static str,
    /// What is sent: one as it is, several as an object with their names.
    pub parameters: Vec<Parameter>,
    /// The type of the result, as it is written.
    pub result: &'static str,
    /// What that type can be read from.
    pub result_kinds: kinds::Kinds,
    /// How arguments are encoded.
    pub codec: Codec,
}

/// A parameter as it was declared in Rust.
#[doc(hidden)]
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type, as it is written.
    pub type_name: &'static str,
    /// What that type is written as.
    pub kinds: kinds::Kinds,
}

impl Pool {
    /// Starts a pool whose workers have the functions that were declared with
    /// [`functions!`](crate::functions).
    ///
    /// # Errors
    /// [`StartError::Signature`] if they have not, or with other parameters; no process is left.
    /// Else those of [`Pool::start`].
    pub async fn start_typed<F: Functions>(config: PoolConfig) -> Result<F, StartError> {
        let pool = Self::start(config).await?;
        let typed = pool.typed();
        if typed.is_err() {
            pool.shutdown_within(std::time::Duration::ZERO).await;
        }
        typed
    }

    /// The functions that were declared with [`functions!`](crate::functions), checked against what
    /// the worker that became ready last exposes. One pool can have several such handles. Workers
    /// that start from then on must have the functions too: a [`Pool::reload`] of code that does
    /// not fit ends with this error, and the old workers stay.
    ///
    /// # Errors
    /// [`StartError::Signature`] if the workers have not these functions, or with other parameters.
    pub fn typed<F: Functions>(&self) -> Result<F, StartError> {
        let declared = F::declared();
        check::all(&declared, &self.functions())?;
        self.require(declared);
        Ok(F::of(Checked(self.clone())))
    }
}

/// Declares functions of a worker, so that calls of them are typed.
///
/// It makes a struct: a handle of a pool whose workers were seen to have these functions, with a
/// method for each. A method gives a [`TypedCall`], which is awaited, or first told how the call is
/// to be made (`.timeout(…)`, `.idempotent()`, …). The struct is also a [`Pool`](crate::Pool) by
/// `Deref`, so `status()`, `shutdown()` and the rest are there.
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
///     /// What worker.py offers.
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
/// let pool: Model = Pool::start_typed(PoolConfig::new("worker.py")).await?;
/// let out: Prediction = pool.predict(Input { value: 42 }).await?;
/// let half = pool.divide(1.0, 2.0).timeout(std::time::Duration::from_secs(1)).await?;
/// pool.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// One argument is sent as it is, several as an object with their names, none as null. It is JSON,
/// or after the result type `as msgpack`, or `as bytes`: then there is one argument that can become
/// [`Bytes`](bytes::Bytes). `= "name"` is for a Python name that is none in Rust.
///
/// # What is checked
/// The compiler checks what is passed and what comes back:
///
/// ```compile_fail,E0308
/// # actix_pyproc::functions! { struct Model { fn divide(a: f64, b: f64) -> f64; } }
/// async fn call(pool: &Model) -> Result<f64, actix_pyproc::CallError> {
///     pool.divide("one", 2.0).await
/// }
/// ```
///
/// [`Pool::start_typed`](crate::Pool::start_typed) and [`Pool::typed`](crate::Pool::typed) check
/// against Python, once a worker is ready: that each function exists; that it takes as many
/// arguments as are sent, with several by these names, and that none is missing which has no
/// default; and the types, as far as both sides say something. Python says it by annotations such
/// as `int`, `list[str]`, `Optional[dict]`; classes of its own say nothing. Rust says it by how the
/// type is read with serde: an integer, a float, a string, a list, an object. A type that is sent
/// and cannot be read (it is not `Deserialize`) says nothing. What is in lists and objects is not
/// compared. A mismatch is a [`StartError::Signature`](crate::StartError::Signature) that names
/// both sides:
///
/// ```text
/// predict: Rust sends (input: Input), Python takes (req: dict, scale: float)
/// ```
///
/// A function of Python with one parameter without default takes one argument, and the others keep
/// their defaults (see docs/protocol.md): `def f(a, b=2)` cannot be declared as `fn f(a: i64, b:
/// i64)`, `def f(a, *, b=2)` neither; give `b` no default, or let one argument hold both.
///
/// Every worker that starts later is checked as well: after a [`Pool::reload`](crate::Pool::reload)
/// of code that does not fit, the old workers stay, and the reload ends with the same error.
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
                    -> $crate::TypedCall<'_, $crate::__typed_result!($($result)?)>
                {
                    $crate::TypedCall::new(
                        &self.pool,
                        $crate::__typed_call!(
                            [$($codec)?] $crate::__typed_name!($function $($python)?), $($parameter),*
                        ),
                    )
                }
            )*
        }

        impl $crate::Functions for $name {
            fn declared() -> ::std::vec::Vec<$crate::__typed::Declared> {
                #[allow(unused_imports, reason = "which are used is up to the types")]
                use $crate::__typed::{ByNothing as _, ByReference as _, ByValue as _};
                ::std::vec![$($crate::__typed::Declared {
                    name: $crate::__typed_name!($function $($python)?),
                    parameters: ::std::vec![$($crate::__typed::Parameter {
                        name: $crate::__typed::plain_name(::std::stringify!($parameter)),
                        type_name: ::std::stringify!($type),
                        kinds: (&&&$crate::__typed::Of::<$type>::TYPE).kinds(),
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

        impl ::std::ops::Deref for $name {
            type Target = $crate::Pool;

            fn deref(&self) -> &$crate::Pool {
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
    ([$codec:ident] $($rest:tt)*) => { ::std::compile_error!("arguments go `as msgpack` or `as bytes`") };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __typed_argument {
    () => { () };
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
