use portlabel::decode::decode;
use portlabel::engine::*;
use portlabel::source::{Files, Next, Source};
use std::path::PathBuf;
use std::time::Instant;
fn main() {
    let path: PathBuf = std::env::var_os("CAP").unwrap().into();
    for _ in 0..3 {
        let t = Instant::now();
        let mut f = Files::open(std::slice::from_ref(&path), Default::default());
        let (mut n, mut b) = (0u64, 0u64);
        f.read(&mut |fr, _| {
            n += 1;
            b += u64::from(fr.wire_len);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        println!("walk {:.1} ns ({b})", t.elapsed().as_nanos() as f64 / n as f64);
        let t = Instant::now();
        let mut f = Files::open(std::slice::from_ref(&path), Default::default());
        let (mut n, mut b) = (0u64, 0u64);
        let mut v = Vec::with_capacity(1024);
        f.read(&mut |fr, _| {
            n += 1;
            v.push(decode(fr));
            if v.len() == 1024 {
                b += v[7].wire_len as u64;
                v.clear();
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        println!("walk+decode {:.1} ns ({b})", t.elapsed().as_nanos() as f64 / n as f64);
    }
    let mut f = Files::open(std::slice::from_ref(&path), Default::default());
    let mut v = Vec::new();
    while let Next::Frame(fr) = f.next().unwrap() {
        v.push(decode(&fr));
        if v.len() == 4_000_000 {
            break;
        }
    }
    for _ in 0..3 {
        let src = portlabel::snapshot::SourceInfo {
            kind: portlabel::snapshot::SourceKind::File,
            names: vec![],
            host: None,
            filter: None,
        };
        let mut e = Engine::new(
            EngineConfig { limits: Default::default(), interval: None, flow_records: false },
            src.into(),
            portlabel::services::Registry::builtin(),
        );
        let t = Instant::now();
        for c in v.chunks(1024) {
            e.ingest(c);
        }
        println!("ingest {:.1} ns", t.elapsed().as_nanos() as f64 / v.len() as f64);
    }
}
