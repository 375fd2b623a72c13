//! What the session of HTTP/3 tells about its streams.

use crate::io::connection::streams::stream_sink::StreamSink;
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http3::session::{Http3Sink, StreamEnd};
use crate::protocol::http3::stream_id::StreamId;

impl Http3Sink for StreamSink<'_> {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], is_tunnel: bool) {
        self.open(stream.into(), head, bytes, is_tunnel);
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
        self.take_body(stream.into(), chunk, last);
    }

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        match end {
            StreamEnd::Reset(code) => tracing::debug!(stream = stream.0, code = code.name(), "stream reset"),
            StreamEnd::Broken(error) => {
                tracing::warn!(stream = stream.0, cause = error.code(), rule = %error, "peer broke a rule of HTTP/3");
            }
            StreamEnd::BodyTooLarge | StreamEnd::BodyTimeout | StreamEnd::ResponseTimeout => {}
        }
        let cause = match end {
            StreamEnd::Reset(code) => CloseCause::Http3StreamReset(code.into()),
            StreamEnd::Broken(_) => CloseCause::InvalidHttp3,
            StreamEnd::BodyTooLarge => CloseCause::BodyTooLarge,
            StreamEnd::BodyTimeout => CloseCause::BodyTimeout,
            StreamEnd::ResponseTimeout => CloseCause::ResponseTimeout,
        };
        self.abort(stream.into(), cause);
    }
}
