//! As much of HTTP/1.1 (RFC 9112) as a page of one line needs: GET and HEAD, keep-alive, pipelining.

/// The longest head or body of a request that is taken.
const LIMIT: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    status: Status,
    head_only: bool,
    pub(super) keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    BadRequest,
    MethodNotAllowed,
}

/// Takes the first complete request off the input; nothing: more has to come.
pub(super) fn take_request(input: &mut Vec<u8>) -> Option<Request> {
    let bad = Request { status: Status::BadRequest, head_only: false, keep_alive: false };
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (input.len() > LIMIT).then_some(bad);
    };
    let head = String::from_utf8_lossy(&input[..end]).into_owned();
    let Some((request, body)) = parse(&head) else { return Some(bad) };
    if body > LIMIT {
        return Some(bad);
    }
    let whole = end + 4 + body;
    (input.len() >= whole).then(|| {
        input.drain(..whole);
        request
    })
}

/// The request and the length of its body.
fn parse(head: &str) -> Option<(Request, usize)> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, _target, version) = (words.next()?, words.next()?, words.next()?);
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let mut body = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body = value.parse().ok()?,
            "transfer-encoding" => return None,
            "connection" if value.eq_ignore_ascii_case("close") => keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => keep_alive = true,
            _ => {}
        }
    }
    let status = if matches!(method, "GET" | "HEAD") { Status::Ok } else { Status::MethodNotAllowed };
    Some((Request { status, head_only: method == "HEAD", keep_alive }, body))
}

impl Request {
    pub(super) fn answer(&self, page: &str) -> Vec<u8> {
        let (status, more) = match self.status {
            Status::Ok => ("200 OK", ""),
            Status::BadRequest => ("400 Bad Request", ""),
            Status::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
        };
        let connection = if self.keep_alive { "keep-alive" } else { "close" };
        let length = page.len();
        let body = if self.head_only { "" } else { page };
        format!(
            "HTTP/1.1 {status}\r\n{more}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_one_by_one_and_only_when_complete() {
        let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_vec();
        let first = take_request(&mut input);
        assert_eq!(first, Some(Request { status: Status::Ok, head_only: false, keep_alive: true }));
        assert_eq!(take_request(&mut input), None);
        input.extend(b"cHEAD / HTTP/1.0\r\n\r\n");
        assert_eq!(take_request(&mut input).map(|r| r.status), Some(Status::MethodNotAllowed));
        assert_eq!(take_request(&mut input), Some(Request { status: Status::Ok, head_only: true, keep_alive: false }));
        assert!(input.is_empty());
    }

    #[test]
    fn nonsense_is_a_bad_request_and_ends_the_connection() {
        for nonsense in ["\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nnocolon\r\n\r\n"] {
            let request = take_request(&mut nonsense.as_bytes().to_vec());
            assert!(request.is_some_and(|r| r.status == Status::BadRequest && !r.keep_alive), "{nonsense:?}");
        }
    }
}
