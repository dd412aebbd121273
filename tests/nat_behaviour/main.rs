//! How NATs behave, told from outside: ours in every combination, and Linux's own.

mod gateway;
mod grid;
mod lab;
mod linux;
mod oracle;
mod prefix;
mod stun;
mod tcp;
