//! What netlab promises, held against real kernels and real tools.
