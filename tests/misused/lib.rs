//! An async test, and tests that return what no test may return.

#[netlab::test]
async fn waits() {}

#[cfg(feature = "tokio")]
mod returns {
    #[netlab::test]
    fn a_number() -> u32 {
        7
    }

    #[netlab::test]
    async fn a_text() -> String {
        String::new()
    }

    #[netlab::test]
    fn a_result_of_a_number() -> Result<u32, String> {
        Ok(7)
    }
}
