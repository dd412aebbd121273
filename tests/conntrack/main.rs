//! What a namespace remembers of connections, held against conntrack(8), and what changes when it forgets them.

mod answers;
mod forgetting;
mod lab;
mod listing;
mod waiting;
