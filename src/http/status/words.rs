//! Times and numbers in words, and text that can stand in a document.

use std::time::Duration;

/// A length of time as somebody would say it: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`.
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was.
pub fn ago(time: Duration) -> String {
    if time < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", length(time)) }
}

/// A number with its thousands set apart.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text that means nothing to a browser but itself, between tags and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_precisely_as_anybody_cares() {
        let told = |milliseconds| length(Duration::from_millis(milliseconds));
        assert_eq!([told(0), told(449), told(9_900)], ["0.0 s", "0.4 s", "9.9 s"]);
        assert_eq!([told(10_000), told(119_999), told(120_000)], ["10 s", "119 s", "2 min"]);
        assert_eq!([told(7_199_000), told(7_200_000), told(172_800_000)], ["119 min", "2 h", "2 d"]);
        assert_eq!(ago(Duration::from_millis(999)), "just now");
        assert_eq!(ago(Duration::from_secs(61)), "61 s ago");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nothing_escapes() {
        assert_eq!(escaped("<b a='\"&\"'>"), "&lt;b a=&#39;&quot;&amp;&quot;&#39;&gt;");
    }
}
