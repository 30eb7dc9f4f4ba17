//! Pools whose workers are a closure of the test: `Pool::fake`. No test here needs Python.

#[cfg(feature = "http")]
mod gateway;
#[cfg(feature = "http")]
mod handler;
mod pool;
mod typed;
mod without_python;
