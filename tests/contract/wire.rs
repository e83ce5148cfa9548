//! Which request an answer on a bare connection is to.

/// Takes the first request off the bytes that were sent: its method and target, or `None` if that is no request, after
/// which nothing more can be one.
pub fn take_request(sent: &mut Vec<u8>) -> Option<(String, String)> {
    let whole = std::mem::take(sent);
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&whole[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let mut rest = &whole[end + 4..];
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.contains(' ') {
            return None;
        }
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let length = value.trim().parse().unwrap_or(usize::MAX);
                rest = rest.get(length..).unwrap_or_default();
            }
            "transfer-encoding" => {
                let last = rest.windows(5).position(|five| five == b"0\r\n\r\n");
                rest = last.map_or(&[], |at| &rest[at + 5..]);
            }
            _ => {}
        }
    }
    *sent = rest.to_vec();
    Some((method.to_owned(), target.to_owned()))
}
