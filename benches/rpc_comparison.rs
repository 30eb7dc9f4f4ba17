//! Compares our wire with JSON-RPC, XML-RPC, MessagePack-RPC and the envelope of pyproc, the Go
//! project. Each has a real Python server on a Unix socket, and a minimal client that encodes,
//! decodes and checks. The main structure is [`Peer`].

mod rpc;
mod support;

use actix_pyproc::Codec;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rpc::{Envelope, JsonRpc, MsgpackRpc, Server, XmlRpc};
use support::floor::Floor;
use support::flow::{Client, Protocol};
use support::machine::{self, Cores};
use support::pool::{Host, Work};
use support::profile::criterion;
use support::report::Report;
use support::sample::{Sample, Until, median};
use support::{PREDICT, rounds, turn};

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

/// A protocol in the comparison.
struct Peer {
    name: &'static str,
    pids: Vec<u32>,
    /// Measures this many callers.
    run: Box<dyn FnMut(usize, Until) -> Sample>,
    /// The sizes of a request and of its reply, in bytes.
    wire: [f64; 2],
}

impl Peer {
    /// One connection that carries the calls of all callers.
    fn pipelined<P: Protocol + 'static>(name: &'static str, mut client: Client<P>, pids: Vec<u32>) -> Self {
        let calls = client.run(1, Until::Calls(100)).calls() as f64;
        let wire = [client.traffic.sent as f64 / calls, client.traffic.received as f64 / calls];
        Self { name, pids, run: Box::new(move |callers, until| client.run(callers, until)), wire }
    }

    fn server<P: Protocol + 'static>(name: &'static str, server: Server, protocol: P) -> Self {
        let pids = vec![server.pid()];
        let mut peer = Self::pipelined(name, Client::new(server.connect(), protocol), pids);
        let mut run = peer.run;
        peer.run = Box::new(move |callers, until| {
            let _lives_as_long = &server;
            run(callers, until)
        });
        peer
    }

    /// HTTP answers one call at a time, so each caller has its own connection and thread.
    fn xml_rpc(server: Server) -> Self {
        let mut first = Client::new(server.connect(), XmlRpc);
        let calls = first.run(1, Until::Calls(100)).calls() as f64;
        let wire = [first.traffic.sent as f64 / calls, first.traffic.received as f64 / calls];
        let mut clients = vec![first];
        let pids = vec![server.pid()];
        let run = move |callers: usize, until: Until| {
            let until = match until {
                Until::Calls(calls) => Until::Calls(calls.div_ceil(callers as u64)),
                Until::For(time) => Until::For(time),
            };
            clients.resize_with(callers.max(clients.len()), || Client::new(server.connect(), XmlRpc));
            let start = std::time::Instant::now();
            let samples: Vec<Sample> = std::thread::scope(|scope| {
                let threads: Vec<_> = clients[..callers]
                    .iter_mut()
                    .map(|client| scope.spawn(move || client.run(1, until)))
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("clients do not panic")).collect()
            });
            let mut all = Sample::new();
            samples.iter().for_each(|sample| all.extend(sample));
            all.end(start.elapsed())
        };
        Self { name: "XML-RPC", pids, run: Box::new(run), wire }
    }
}

fn peers() -> Vec<Peer> {
    let floor = Floor::start(&machine::worker());
    let bare =
        Peer::pipelined("our wire, bare", floor.client("predict", Codec::Json, PREDICT), vec![floor.pid()]);
    let host = Host::workers(1);
    let pids = host.pids();
    let run = move |callers, until| {
        let _lives_as_long = &floor;
        host.run(&Work::predict(), callers, until)
    };
    let pool = Peer { name: "actix-pyproc", pids, run: Box::new(run), wire: bare.wire };
    let mut peers = vec![pool, bare];
    peers.push(Peer::server("4-byte length and JSON", Server::start("envelope.py"), Envelope::default()));
    match machine::python_with(&["msgpack"]) {
        Some(python) => {
            let server = Server::start_with(&python, "msgpackrpc.py");
            peers.push(Peer::server("MessagePack-RPC", server, MsgpackRpc::default()));
        }
        None => {
            println!("MessagePack-RPC is left out: pip could not install msgpack into a virtual environment")
        }
    }
    peers.push(Peer::server("JSON-RPC 2.0", Server::start("jsonrpc.py"), JsonRpc::default()));
    peers.push(Peer::xml_rpc(Server::start("xmlrpc_http.py")));
    peers
}

fn rpc_comparison(criterion: &mut Criterion) {
    let mut peers = peers();
    let mut group = criterion.benchmark_group("rpc_comparison");
    group.sampling_mode(SamplingMode::Flat);
    let mut ran = false;
    for callers in [1, 64] {
        group.throughput(Throughput::Elements(callers as u64));
        for peer in &mut peers {
            group.bench_function(format!("{}/{callers} callers", peer.name), |bencher| {
                ran = true;
                bencher
                    .iter_custom(|times| (peer.run)(callers, Until::Calls(times * callers as u64)).elapsed());
            });
        }
    }
    group.finish();
    if ran {
        in_turn(&mut peers);
    }
}

/// Measures all in turn, several times, so that other load on the machine affects all alike.
fn in_turn(peers: &mut [Peer]) {
    let mut report = Report::new("rpc_comparison");
    for (callers, cores) in [(1, Cores::Free), (1, Cores::Shared), (64, Cores::Free)] {
        let mut samples: Vec<Vec<Sample>> = peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds() {
            for (peer, samples) in peers.iter_mut().zip(&mut samples) {
                samples.push(cores.during(&peer.pids, || (peer.run)(callers, Until::For(turn() / 2))));
            }
        }
        for (peer, samples) in peers.iter().zip(&samples) {
            let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
            report.add(
                format!("{}/{callers} callers/{}", peer.name, cores.name()),
                [
                    ("calls_per_s", of(Sample::per_second)),
                    ("p50_us", of(Sample::p50_us)),
                    ("p95_us", of(|sample| sample.quantile_us(0.95))),
                    ("p99_us", of(Sample::p99_us)),
                    ("request_bytes", peer.wire[0]),
                    ("reply_bytes", peer.wire[1]),
                ],
            );
        }
    }
}

criterion_group!(name = benches; config = criterion(); targets = rpc_comparison);
criterion_main!(benches);
