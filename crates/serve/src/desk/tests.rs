//! The desk that takes on questions, without a server.

use std::thread::sleep;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use super::*;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn new_desk(at_work: u32, waiting: u32, time_out: Duration) -> Desk {
    let limits = Limits::default().with_at_work(at_work);
    let limits = limits.with_waiting(waiting).with_time_out(time_out);
    Desk::new(limits, Arc::default())
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(2));
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time().build().unwrap()
}

/// Work that goes on until `end`, whether it is called off or not.
fn work_until(end: &Arc<AtomicBool>) -> impl FnOnce(Arc<AtomicBool>) + Send + 'static {
    let end = Arc::clone(end);
    move |_stop| {
        while !end.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn work_keeps_its_place_until_it_ends_though_nobody_waits_for_it_any_more() {
    let runtime = runtime();
    let (desk, end) = (new_desk(1, 0, SHORT), Arc::default());
    let late = runtime.block_on(desk.work(work_until(&end)));
    assert_eq!(late, Err(Refused::Late));
    assert_eq!(desk.taken(), (1, 1));
    let next = runtime.block_on(desk.work(|_| ()));
    assert_eq!(next, Err(Refused::Busy));
    end.store(true, Ordering::Relaxed);
    until("the place comes back", || desk.taken() == (0, 0));
    assert_eq!(runtime.block_on(desk.work(|_| 7)), Ok(7));
}

#[test]
fn work_that_nobody_waits_for_is_called_off() {
    let runtime = runtime();
    let until_stopped = |stop: Arc<AtomicBool>| {
        while !stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1));
        }
    };
    // Because time is up, …
    let desk = new_desk(1, 0, SHORT);
    let late = runtime.block_on(desk.work(until_stopped));
    assert_eq!(late, Err(Refused::Late));
    until("the place comes back", || desk.taken() == (0, 0));
    // … and because somebody goes away.
    let desk = Arc::new(new_desk(1, 0, LONG));
    let asked = Arc::clone(&desk);
    let waiting = runtime.spawn(async move { asked.work(until_stopped).await });
    until("it is worked on", || desk.taken() == (1, 1));
    waiting.abort();
    until("the place comes back", || desk.taken() == (0, 0));
}

#[test]
fn more_than_may_wait_are_turned_away_at_once() {
    let runtime = runtime();
    let (desk, end) = (Arc::new(new_desk(2, 3, LONG)), Arc::default());
    let asked: Vec<_> = (0..5)
        .map(|_| {
            let (desk, work) = (Arc::clone(&desk), work_until(&end));
            runtime.spawn(async move { desk.work(work).await })
        })
        .collect();
    until("all are taken on", || desk.taken() == (2, 5));
    let sixth = runtime.block_on(desk.work(|_| ()));
    assert_eq!(sixth, Err(Refused::Busy));
    end.store(true, Ordering::Relaxed);
    for asked in asked {
        assert_eq!(runtime.block_on(asked).unwrap(), Ok(()));
    }
    until("all places come back", || desk.taken() == (0, 0));
}

#[test]
fn one_who_goes_away_while_waiting_leaves_the_queue() {
    let runtime = runtime();
    let (desk, end) = (Arc::new(new_desk(1, 1, LONG)), Arc::default());
    let (first, work) = (Arc::clone(&desk), work_until(&end));
    let first = runtime.spawn(async move { first.work(work).await });
    until("the first is worked on", || desk.taken() == (1, 1));
    let second = Arc::clone(&desk);
    let second = runtime.spawn(async move { second.work(|_| ()).await });
    until("the second waits", || desk.taken() == (1, 2));
    second.abort();
    until("the second is gone", || desk.taken() == (1, 1));
    end.store(true, Ordering::Relaxed);
    assert_eq!(runtime.block_on(first).unwrap(), Ok(()));
}

#[test]
fn work_that_panics_gives_its_place_back() {
    let runtime = runtime();
    let desk = new_desk(1, 0, LONG);
    let broken = runtime.block_on(desk.work::<()>(|_| panic!("on purpose")));
    assert_eq!(broken, Err(Refused::Broken));
    until("the place comes back", || desk.taken() == (0, 0));
}
