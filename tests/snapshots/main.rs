//! Listings: their text is that of the real `ip` in the same namespace, byte for byte, over a zoo of all that it can print here.

mod addresses;
mod fdb;
mod links;
mod neighbours;
mod normal;
mod oracle;
mod routes;
mod rules;
