//! How cost grows: with connections, with events a body, with routes. Straight lines are what it should be.

use crate::plot::Plot;
use crate::process::median;
use crate::report::Report;
use crate::world::{NEWSLETTER, Notification, World, ordinary};
use gigya_esp_gateway::sandbox::Setup;
use gigya_esp_gateway::sandbox::campaign_monitor::{CampaignMonitorSettings, ListSettings};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// File descriptors that a process needs beside its connections.
const SPARE: usize = 500;

/// Measures all three.
pub async fn measure(report: &mut Report, quick: bool) {
    connections(report, quick).await;
    events(report, quick).await;
    routes(report, quick).await;
}

async fn connections(report: &mut Report, quick: bool) {
    let (steps, events): (&[usize], usize) =
        if quick { (&[1, 20, 50], 50) } else { (&[1, 1000, 2500, 5000, 7500, 10_000], 2000) };
    let most = open_files().saturating_sub(SPARE);
    let (mut rows, mut memory, mut time) = (Vec::new(), Vec::new(), Vec::new());
    for &step in steps {
        if step > most {
            rows.push(vec![step.to_string(), "skipped: raise `ulimit -n`".to_owned(), String::new()]);
            continue;
        }
        let setup = Setup { server: "max_connections = 20000".to_owned(), ..ordinary() };
        let world = World::start(setup, false, None).await;
        let uids = world.people(1);
        world.set(&uids, true);
        world.send(world.notify(&uids)).await;
        let mut open = Vec::new();
        for _ in 0..step {
            open.push(TcpStream::connect(world.gateway.address).await.unwrap());
        }
        // Once over some of them, so that each of those, and the gateway, has what it needs.
        let notifications: Vec<Notification> = (0..events).map(|_| world.notify(&uids)).collect();
        let before = world.gateway.processor_nanos();
        for (n, notification) in notifications.iter().enumerate() {
            ask(&mut open[n % step], notification).await;
        }
        let micros = (world.gateway.processor_nanos() - before) as f64 / 1000.0 / events as f64;
        let mib = world.gateway.memory_kib() as f64 / 1024.0;
        rows.push(vec![step.to_string(), format!("{micros:.0}"), format!("{mib:.0}")]);
        memory.push((step as f64, mib));
        time.push((step as f64, micros));
    }
    report.table("Connections held open", &["connections", "microseconds an event", "MiB"], &rows);
    plot(report, "Memory", "connections", "MiB", memory);
    plot(report, "Cost of an event", "connections", "microseconds", time);
}

async fn events(report: &mut Report, quick: bool) {
    let (steps, turns): (&[usize], usize) = if quick { (&[1, 10, 30], 1) } else { (&[1, 100, 250, 500, 750, 1000], 5) };
    let world = World::start(ordinary(), false, None).await;
    let uids = world.people(steps[steps.len() - 1]);
    world.set(&uids, true);
    for body in uids.chunks(100) {
        world.send(world.notify(body)).await;
    }
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for &step in steps {
        let mut millis = Vec::new();
        for _ in 0..turns {
            millis.push(world.send_all(vec![world.notify(&uids[..step])], 1).await / 1000.0);
        }
        let millis = median(millis);
        rows.push(vec![step.to_string(), format!("{millis:.1}"), format!("{:.0}", millis * 1000.0 / step as f64)]);
        points.push((step as f64, millis));
    }
    report.table("Events a body", &["events", "milliseconds a body", "microseconds an event"], &rows);
    plot(report, "Cost of a body", "events in it", "milliseconds", points);
}

async fn routes(report: &mut Report, quick: bool) {
    let (steps, events): (&[usize], usize) = if quick { (&[1, 5, 10], 5) } else { (&[1, 25, 50, 100, 150, 200], 50) };
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for &step in steps {
        let id = |n: usize| format!("{n:032x}");
        let lists = (1..=step).map(|n| ListSettings::ordinary(&id(n))).collect();
        let campaign_monitor = CampaignMonitorSettings { lists, ..CampaignMonitorSettings::default() };
        let mut setup = Setup { campaign_monitor, ..ordinary() };
        for n in 2..=step {
            let audience = format!("news/{}", id(n));
            let table = write!(
                setup.more,
                "\n[[route]]\nsubscription = \"main/{NEWSLETTER}\"\naudience = \"{audience}\"\n{}\n",
                setup.route
            );
            table.expect("a string takes whatever is written");
        }
        let world = World::start(setup, false, None).await;
        let uids = world.people(1);
        world.set(&uids, true);
        world.send(world.notify(&uids)).await;
        let each = (0..events).map(|_| world.notify(&uids)).collect();
        let millis = world.send_all(each, 1).await / 1000.0 / events as f64;
        rows.push(vec![step.to_string(), format!("{millis:.2}"), format!("{:.0}", millis * 1000.0 / step as f64)]);
        points.push((step as f64, millis));
    }
    report.table("Routes of one subscription", &["routes", "milliseconds an event", "microseconds a route"], &rows);
    plot(report, "Cost of an event", "routes", "milliseconds", points);
}

fn plot(report: &mut Report, title: &str, across: &str, up: &str, points: Vec<(f64, f64)>) {
    let plot = Plot { title: title.to_owned(), across: across.to_owned(), up: up.to_owned(), points };
    println!("\n{title} by {across}: the line explains {:.3} of what differs", plot.straightness());
    report.plot(plot);
}

/// One notification over a connection that stays open.
async fn ask(connection: &mut TcpStream, notification: &Notification) {
    let (name, signature) = &notification.header;
    let request = format!(
        "POST /webhooks/gigya/main HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         {name}: {signature}\r\ncontent-length: {}\r\n\r\n{}",
        notification.body.len(),
        notification.body
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = connection.read(&mut part).await.unwrap();
        assert!(read > 0, "a connection stays open");
        answer.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            return;
        }
    }
}

/// As many as this process, and those that it starts, may have open.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX)
}
