//! The life of a connection.

use std::rc::Rc;
use std::sync::Arc;

use crate::http::{Serial, ThreadState};
use crate::plan::Plan;
use crate::wire::Stream;

/// What the connections of one thread need.
#[derive(Debug)]
pub struct Serving {
    pub plan: Arc<Plan>,
    pub http: Rc<ThreadState>,
    pub serial: Arc<Serial>,
}

/// Serves one connection to its end. `listener` is the index into the plan's listeners.
pub async fn serve(stream: Stream, _listener: usize, _serving: &Serving) {
    drop(stream);
}
