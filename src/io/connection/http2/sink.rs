//! What the session of HTTP/2 tells about its streams.

use crate::io::connection::streams::stream_sink::StreamSink;
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http2::frame::StreamId;
use crate::protocol::http2::session::{Http2Sink, StreamEnd};

impl Http2Sink for StreamSink<'_> {
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
                tracing::warn!(stream = stream.0, cause = error.code(), rule = %error, "peer broke a rule of HTTP/2");
            }
            StreamEnd::BodyTooLarge | StreamEnd::BodyTimeout | StreamEnd::ResponseTimeout => {}
        }
        let cause = match end {
            StreamEnd::Reset(code) => CloseCause::StreamReset(code.into()),
            StreamEnd::Broken(_) => CloseCause::InvalidHttp2,
            StreamEnd::BodyTooLarge => CloseCause::BodyTooLarge,
            StreamEnd::BodyTimeout => CloseCause::BodyTimeout,
            StreamEnd::ResponseTimeout => CloseCause::ResponseTimeout,
        };
        self.abort(stream.into(), cause);
    }
}
