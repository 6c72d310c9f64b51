//! Batches made ahead, on a thread of their own.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use crate::{Batches, Past};

/// Batches that may lie ready.
const AHEAD: usize = 2;

/// The batches of some plans in order, made while earlier ones are learnt from.
pub(crate) struct Prefetch<T> {
    ready: Option<Receiver<(Past, T)>>,
    maker: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetch<T> {
    pub(crate) fn new<B: Batches<Batch = T>>(batches: Arc<B>, plans: Vec<B::Plan>) -> Self {
        let (send, ready) = sync_channel(AHEAD);
        let make = move || {
            for plan in plans {
                // The reader is gone when the training was stopped in the middle.
                if send.send((batches.past(&plan), batches.batch(&plan))).is_err() {
                    return;
                }
            }
        };
        let maker = Builder::new().name("batches".to_string()).spawn(make);
        let maker = maker.expect("the system can start a thread");
        Self { ready: Some(ready), maker: Some(maker) }
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = (Past, T);

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(batch) = self.ready.as_ref()?.recv() {
            return Some(batch);
        }
        self.ready = None;
        if let Some(Err(panic)) = self.maker.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
        None
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.ready = None;
        if let Some(maker) = self.maker.take() {
            // A panic of the maker is of no interest any more.
            let _ = maker.join();
        }
    }
}
