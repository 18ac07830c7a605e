//! The node agent `steadfast`. All of it is in the library beside.

use std::process::ExitCode;

/// RocksDB allocates and frees from many threads, and so do commands: the system's allocator is the slower one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    steadfast_agent::main()
}
