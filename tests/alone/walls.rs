//! A worker cannot harm its host with the descriptors that it inherits. Each row is code that a
//! real worker runs; then the pool serves, with the same worker or another, ends in time and leaves
//! nothing.

use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};

use crate::support::leaks::alone;
use crate::support::processes::own_memory;
use crate::support::{capped, start, worker};

/// What the worker does, and the code for it, which `tests/workers/walls.py` runs.
const TABLE: &[(&str, &str)] = &[
    ("truncates it", "refused(os.ftruncate, TABLE, 0)"),
    ("truncates it, and calls on", "refused(os.ftruncate, TABLE, 1); time.sleep(0.01)"),
    ("extends it", "refused(os.ftruncate, TABLE, 1 << 30)"),
    ("seals it", "refused(fcntl.fcntl, TABLE, 1033, 8)"),
    ("opens it again and truncates it", "refused(lambda: open('/proc/self/fd/%d' % TABLE, 'wb'))"),
    (
        "frees its memory",
        "libc = ctypes.CDLL(None); libc.fallocate(TABLE, 3, ctypes.c_long(0), ctypes.c_long(TABLE_SIZE))",
    ),
    ("fills it with ones", "table()[:] = b'\\xff' * TABLE_SIZE"),
    ("fills it with zeroes", "table()[:] = bytes(TABLE_SIZE)"),
    (
        "fills it with noise for ever",
        "map = table(); for_ever(lambda: map.__setitem__(slice(None), os.urandom(len(map))))",
    ),
    ("removes its magic number", "table()[:4] = b'NONE'"),
    ("writes phases that do not exist", "table()[64:1088] = bytes(range(256)) * 4"),
    ("removes the marks that end it", "map = table()\nwhile True: map[1088:2112] = bytes(1024)"),
    ("takes back all deadlines", "table()[2112:] = bytes(8192)"),
    ("closes it", "os.close(TABLE)"),
];

const SOCKET: &[(&str, &str)] = &[
    ("closes it", "os.close(SOCKET)"),
    ("shuts down both directions", "own_socket().shutdown(2)"),
    ("shuts down what it sends", "own_socket().shutdown(1)"),
    ("shuts down what it receives", "own_socket().shutdown(0)"),
    ("makes it non-blocking", "os.set_blocking(SOCKET, False)"),
    (
        "wants a signal for each frame",
        "fcntl.fcntl(SOCKET, fcntl.F_SETOWN, os.getpid()); \
      fcntl.fcntl(SOCKET, fcntl.F_SETFL, fcntl.FASYNC)",
    ),
    ("shrinks its buffers", "s = own_socket(); s.setsockopt(1, 7, 1); s.setsockopt(1, 8, 1)"),
    ("sends descriptors along", "pass_descriptors(50)"),
    ("sends noise", "os.write(SOCKET, os.urandom(100_000))"),
    ("sends out of band", "own_socket().send(b'x', socket.MSG_OOB)"),
    ("promises a long frame", "os.write(SOCKET, struct.pack('>I', 64 << 20))"),
    ("reads the host's frames", "for_ever(os.read, SOCKET, 100)"),
    ("sends Pongs for ever", "for_ever(os.write, SOCKET, PONG * 10_000)"),
    ("sends Pongs for ever while it is stuck", "behind(os.write, SOCKET, PONG * 10_000); in_c()"),
    ("sends replies for ever while it is stuck", "behind(os.write, SOCKET, STRAY * 10_000); in_c()"),
    (
        "leaves a process that sends for ever, and dies",
        "behind(os.write, SOCKET, PONG * 10_000, session=True); os._exit(3)",
    ),
];

const PIPES: &[(&str, &str)] = &[
    ("closes all that it has", "os.closerange(0, 1000)"),
    ("makes all non-blocking", "[os.set_blocking(fd, False) for fd in FDS.values()]"),
    ("prints without end of line for ever", "for_ever(os.write, 1, b'x' * 65536)"),
    ("prints errors without end of line for ever", "for_ever(os.write, 2, b'\\xff' * 65536)"),
    ("logs without end of line for ever", "for_ever(os.write, LOG, b'{' * 65536)"),
    (
        "logs text that is not a record",
        "os.write(LOG, b'[' * 60_000 + b'\\n{\"level\": -1}\\n\\xff\\n\\0\\n')",
    ),
    ("closes standard streams and the log", "[os.close(fd) for fd in (0, 1, 2, LOG)]"),
    ("shrinks all pipes", "[fcntl.fcntl(fd, 1031, 4096) for fd in (1, 2, LOG, STACKS, LIFE)]"),
    (
        "leaves a process that prints for ever, and dies",
        "behind(os.write, 2, b'y\\n' * 32768, session=True); os._exit(3)",
    ),
    ("writes stacks for ever while it is stuck", "behind(os.write, STACKS, b'x' * 65536); in_c()"),
    (
        "fills the stacks, and is stuck",
        "os.set_blocking(STACKS, False); os.write(STACKS, b'x' * (1 << 20)); in_c()",
    ),
    ("closes the stacks, and is stuck", "os.close(STACKS); in_c()"),
    ("closes the life pipe", "os.close(LIFE)"),
    (
        "writes to the life pipe",
        "fd = os.open('/proc/self/fd/%d' % LIFE, os.O_WRONLY)\nwhile True: os.write(fd, b'x' * 4096)",
    ),
    ("truncates the package", "refused(os.ftruncate, PACKAGE, 0)"),
    ("writes to the package", "refused(os.write, PACKAGE, b'x')"),
    ("closes the package", "os.close(PACKAGE)"),
    ("is traced by its host", "ctypes.CDLL(None).ptrace(0, 0, 0, 0); time.sleep(60)"),
];

fn config() -> PoolConfig {
    let mut config = worker("walls.py").kill_grace(Duration::from_millis(100));
    config.restart.initial = Duration::from_millis(10);
    config.restart.max_restarts = 1000;
    config.stop_grace = Duration::from_millis(200);
    config
}

async fn misuse(pool: &Pool, code: &str) -> Result<(), CallError> {
    let call = Call::json("misuse", &code).expect("it is JSON").timeout(Duration::from_millis(500));
    capped("the misuse", pool.send(call)).await.expect("the pool lives").map(|_| ())
}

/// Calls until the pool serves.
async fn serves(pool: &Pool) {
    capped("a reply", async {
        loop {
            let call = Call::json("double", &21).expect("it is JSON").timeout(Duration::from_secs(2));
            match pool.send(call).await.expect("the pool lives") {
                Ok(reply) => return assert_eq!(reply.json::<i32>().expect("it is a number"), 42),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
    .await;
}

fn survives(rows: &[(&str, &str)]) {
    let before = own_memory();
    for (what, code) in rows {
        println!("a worker that {what}");
        alone(async {
            let pool = start(config()).await;
            // Every outcome is right except an exception, which means that the code failed.
            let result = misuse(&pool, code).await;
            println!("{result:?}");
            if let Err(CallError::Exception { traceback, .. }) = result {
                panic!("a worker that {what}: {traceback}");
            }
            serves(&pool).await;
            serves(&pool).await;
            capped("the shutdown", pool.shutdown_within(Duration::from_millis(500))).await;
        });
    }
    let grown = own_memory().saturating_sub(before);
    assert!(grown < 100, "{grown} MiB");
}

#[test]
fn nothing_that_a_worker_does_to_the_slot_table_harms_its_host() {
    survives(TABLE);
}

#[test]
fn nothing_that_a_worker_does_to_its_socket_harms_its_host() {
    survives(SOCKET);
}

#[test]
fn nothing_that_a_worker_does_to_its_pipes_harms_its_host() {
    survives(PIPES);
}

#[test]
fn a_call_whose_phase_is_overwritten_counts_as_one_that_ran() {
    alone(async {
        let pool = start(config()).await;
        let error = misuse(&pool, "table()[64:1088] = bytes([77]) * 1024; os._exit(3)").await;
        assert!(matches!(error, Err(CallError::WorkerLost { started: true, .. })), "{error:?}");
        serves(&pool).await;
    });
}
