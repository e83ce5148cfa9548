//! What the gateway takes before there is anything to do: its file, the time to its first 200, its memory after that.

use crate::process::median;
use crate::report::Report;
use crate::world::{self, World};

/// How often it is started.
const STARTS: usize = 9;

/// Starts it anew, has it take one event, and looks.
pub async fn measure(report: &mut Report, quick: bool) {
    let (mut first, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { STARTS } {
        let world = World::start(world::ordinary(), false, None).await;
        let uids = world.people(1);
        world.set(&uids, true);
        world.send(world.notify(&uids)).await;
        first.push(world.gateway.begun.elapsed().as_secs_f64() * 1000.0);
        memory.push(world.gateway.memory_kib() as f64 / 1024.0);
    }
    let file = std::fs::metadata(world::binary()).unwrap().len() as f64 / 1024.0 / 1024.0;
    let row = vec![format!("{file:.1}"), format!("{:.0}", median(first)), format!("{:.1}", median(memory))];
    report.table("At rest", &["file, MiB", "first 200 after, ms", "memory then, MiB"], &[row]);
}
