//! What the compiler says to those who use netlab wrongly.
