//! Lines of JSON on stdout, lines on stdin, and the process's own CPU time.

use std::fmt::{Display, Write as _};
use std::io::{BufRead, Write as _};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One JSON object, built field by field in the order of the calls.
#[derive(Debug)]
pub struct Line(String);

impl Line {
    /// Starts an object with its `event`, a plain word.
    pub fn new(event: &str) -> Self {
        Self(format!("{{\"event\":\"{event}\""))
    }

    /// Adds a number.
    pub fn number(mut self, name: &str, value: impl Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, ",\"{name}\":{value}");
        self
    }

    /// Adds nanoseconds as microseconds with one decimal.
    pub fn microseconds(self, name: &str, nanoseconds: u64) -> Self {
        self.number(name, format_args!("{:.1}", nanoseconds as f64 / 1e3))
    }

    /// Adds a duration in seconds, to the microsecond.
    pub fn seconds(self, name: &str, value: Duration) -> Self {
        self.number(name, format_args!("{:.6}", value.as_secs_f64()))
    }

    /// Writes the object as one line, unbuffered because its reader may be waiting.
    pub fn print(self) -> Result<(), String> {
        print(&(self.0 + "}")).map_err(|error| format!("stdout: {error}"))
    }
}

/// Writes one line, at once.
pub fn print(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush())
}

/// Waits for one line on stdin.
pub fn wait_for_line() -> Result<(), String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err("stdin ended while waiting at the gate".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("stdin: {error}")),
    }
}

/// CPU time this process has used so far, user and system.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object() {
        let line = Line::new("done")
            .number("messages", 3)
            .microseconds("p50_us", 1_234)
            .seconds("cpu", Duration::ZERO);
        assert_eq!(line.0 + "}", r#"{"event":"done","messages":3,"p50_us":1.2,"cpu":0.000000}"#);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time();
        while cpu_time() == before {
            std::hint::black_box(1 + 1);
        }
        assert!(cpu_time() > before);
    }
}
