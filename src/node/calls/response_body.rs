//! The body of a response: whole (`end`), in pieces of any length (`write`), or in pieces up to an announced length,
//! each of which is accepted only as far as there is room (`tryEnd`).

use crate::bridge::command::{Command, LentCommand};
use crate::node::abi::tried;
use crate::node::calls::payload::{Appended, append_payload, append_unless_lendable, lend_payload};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Payload, Type, Value};
use crate::node::state::live::exchange::{Exchange, Stage};
use crate::node::state::workers::Workers;
use crate::node::turn::cached_route::keep_recording;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::FieldFlags;

/// `resBeginWrite(response)`: sends the head of a response whose body `write` will send.
pub(crate) fn begin_write<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, pending, .. } = &mut *guard;
    let (_, exchange) = live.response(call.number(0))?;
    refuse_announced(exchange, "beginWrite")?;
    exchange.start_body(Framing::Chunked, workers, pending);
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resWrite(response, chunk)`: accepts all of it. Returns `false` if the application should wait for `onWritable`.
pub(crate) fn write<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, pending, dispatcher, .. } = &mut *guard;
    let (_, exchange) = live.response(call.number(0))?;
    refuse_announced(exchange, "write")?;
    let (to, handler_serial) = (exchange.to, dispatcher.handler_serial);
    let data = append_body(call, exchange, workers)?;
    if data.length() == 0 {
        return Ok(call.env().from_bool(true));
    }
    exchange.start_body(Framing::Chunked, workers, pending);
    write_piece(call, exchange, data, handler_serial, workers)?;
    let has_room = exchange.output.find_room(to, handler_serial, workers) > 0;
    if !has_room {
        exchange.output.await_room(to, workers);
    }
    workers.settle();
    Ok(call.env().from_bool(has_room))
}

/// Copies argument 1 for the next command; data that is to be written from where it lies is left there.
fn append_body(call: &Call<'_>, exchange: &Exchange, workers: &mut Workers) -> Result<Appended, Misuse> {
    let worker = exchange.to.connection.worker;
    if exchange.recording.is_some() {
        return append_payload(call, workers, worker, 1).map(Appended::Copied);
    }
    append_unless_lendable(call, workers, worker, 1)
}

/// Accepts argument 1 as a piece of the body.
fn write_piece(
    call: &Call<'_>,
    exchange: &mut Exchange,
    data: Appended,
    handler_serial: u64,
    workers: &mut Workers,
) -> Result<(), Misuse> {
    let to = exchange.to;
    let copied = lend_payload(call, workers, to.connection.worker, (1, data), |data| {
        LentCommand::WriteBody { to, data }
    })?;
    match copied {
        Some(data) => exchange.write_piece(data, handler_serial, workers),
        None => exchange.output.accept_written(data.length().into(), handler_serial, workers),
    }
    Ok(())
}

/// Refuses `write` and the like after `tryEnd` has announced a length, since the body is then not chunked.
pub(super) fn refuse_announced(exchange: &Exchange, method: &str) -> Result<(), Misuse> {
    match exchange.output.total() {
        Some(_) => Err(Misuse::invalid_state(format!("{method} cannot follow tryEnd"))),
        None => Ok(()),
    }
}

/// Refuses `tryEnd` and the like after `writeTrailer`: a body whose length is announced has no trailers over HTTP/1.1, and
/// a handler does not know the version.
fn refuse_trailers(exchange: &Exchange, method: &str) -> Result<(), Misuse> {
    if exchange.trailers.is_empty() {
        return Ok(());
    }
    Err(Misuse::invalid_state(format!(
        "{method} cannot follow writeTrailer: end completes a response with trailers"
    )))
}

/// `resTryEnd(response, chunk, totalSize)`: accepts what there is room for. Returns 1 if that is all of the chunk, plus
/// 2 if the response is complete.
pub(crate) fn try_end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let mut guard = call.environment()?;
    let Environment { live, workers, pending, dispatcher, routes, .. } = &mut *guard;
    let (handle, exchange) = live.response(call.number(0))?;
    let announced = whole_number(env, call.argument(2), "totalSize")?.filter(|total| *total > 0);
    let chunk = Payload::of(env, call.argument(1))?;
    let (length, handler_serial) = (chunk.length() as u64, dispatcher.handler_serial);
    let (to, written) = (exchange.to, exchange.output.written);
    refuse_trailers(exchange, "tryEnd")?;
    if exchange.stage == Stage::Started && exchange.output.total().is_none() {
        return Err(Misuse::invalid_state("tryEnd cannot follow write"));
    }
    let total = exchange.output.total().or(announced).unwrap_or(length);
    if length > total - written {
        let text = format!("chunk has {length} bytes, but only {} of totalSize are left", total - written);
        return Err(Misuse::out_of_range(text));
    }

    let (worker, framing) = (to.connection.worker, Framing::Length(total));
    let is_whole = exchange.stage == Stage::Waiting && length == total;
    let (is_all, is_complete) =
        if is_whole && length <= exchange.output.find_room(to, handler_serial, workers) {
            let body = exchange.copy_piece(&chunk, &(0..chunk.length()), workers);
            exchange.record(body, workers);
            let head = exchange.lay_out_head(framing, workers, pending);
            workers.push(worker, Command::Respond { to, head, body, close: false });
            (true, true)
        } else {
            exchange.start_body(framing, workers, pending);
            exchange.output.announce(total);
            let taken = exchange.write_as_far_as_there_is_room(&chunk, handler_serial, workers);
            let is_complete = written + taken == total;
            if is_complete {
                exchange.finish(false, workers);
            }
            (taken == length, is_complete)
        };
    if is_complete {
        keep_recording(exchange, routes);
        live.finish(handle);
    } else if !is_all {
        exchange.output.await_room(to, workers);
    }
    workers.settle();
    let accepted = if is_all { tried::ACCEPTED } else { 0.0 };
    let complete = if is_complete { tried::COMPLETE } else { 0.0 };
    Ok(env.from_number(accepted + complete))
}

/// `resOffset(response)`: body bytes accepted so far.
pub(crate) fn write_offset<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let written = call.environment()?.live.response(call.number(0))?.1.output.written;
    Ok(call.env().from_number(written as f64))
}

/// `resAttachWritable(response)`: an `onWritable` handler is attached.
pub(crate) fn attach_writable<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let (_, exchange) = live.response(call.number(0))?;
    exchange.output.attach_handler(exchange.to, workers);
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resNarrow(response)`: keeps the window small, for a body that can be read again at any time, such as a file. Called
/// before its first piece.
pub(crate) fn narrow<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.live.response(call.number(0))?.1.output.narrow();
    Ok(Value::UNDEFINED)
}

/// `resPause(response)`: stops reading. `onWritable` is still called: a handler that answers a request while it reads
/// the body pauses until there is room again, and would otherwise wait for ever.
pub(crate) fn pause<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let (_, exchange) = live.response(call.number(0))?;
    let to = exchange.to;
    if !std::mem::replace(&mut exchange.output.is_paused, true) && !exchange.body.is_paused() {
        workers.push(to.connection.worker, Command::PauseReading { to });
        // At once: the worker reads on until it has the command.
        workers.flush();
    }
    Ok(Value::UNDEFINED)
}

/// `resResume(response)`
pub(crate) fn resume<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let (_, exchange) = live.response(call.number(0))?;
    let to = exchange.to;
    if std::mem::take(&mut exchange.output.is_paused) && !exchange.body.is_paused() {
        workers.push(to.connection.worker, Command::ResumeReading { to });
    }
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resEnd(response, body, closeConnection)`
pub(crate) fn end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, pending, dispatcher, routes, .. } = &mut *guard;
    let (handle, exchange) = live.response(call.number(0))?;
    let (to, worker) = (exchange.to, exchange.to.connection.worker);
    let close = call.truthy(2);
    let body = append_body(call, exchange, workers)?;
    if exchange.stage == Stage::Waiting && !exchange.has_trailers() {
        let framing = Framing::Length(u64::from(body.length()));
        let head = exchange.lay_out_head(framing, workers, pending);
        let copied = lend_payload(call, workers, worker, (1, body), |body| LentCommand::Respond {
            to,
            head,
            body,
            close,
        })?;
        if let Some(body) = copied {
            exchange.record(body, workers);
            workers.push(worker, Command::Respond { to, head, body, close });
        }
    } else {
        // Trailers have a place behind chunks only, over HTTP/1.1.
        announce_close(exchange, close);
        exchange.start_body(Framing::Chunked, workers, pending);
        if body.length() > 0 {
            write_piece(call, exchange, body, dispatcher.handler_serial, workers)?;
        }
        exchange.finish(close, workers);
    }
    keep_recording(exchange, routes);
    live.finish(handle);
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resEndWithoutBody(response, reportedContentLength, closeConnection)`
pub(crate) fn end_without_body<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, pending, .. } = &mut *guard;
    let (handle, exchange) = live.response(call.number(0))?;
    let framing = match whole_number(call.env(), call.argument(1), "reportedContentLength")? {
        Some(length) => Framing::Length(length),
        None => Framing::None,
    };
    let close = call.truthy(2);
    refuse_trailers(exchange, "endWithoutBody")?;
    announce_close(exchange, close);
    exchange.start(framing, workers, pending);
    exchange.finish(close, workers);
    live.finish(handle);
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// Adds `Connection: close` to a head that is not sent yet, if the connection closes behind the response. A whole response
/// has it from the worker.
fn announce_close(exchange: &mut Exchange, close: bool) {
    if close && exchange.stage == Stage::Waiting && !exchange.flags.has(FieldFlags::CONNECTION) {
        exchange.fields.extend_from_slice(b"Connection: close\r\n");
        exchange.flags = exchange.flags | FieldFlags::CONNECTION;
    }
}

/// A number or a numeric string, both of which uWebSockets.js takes; `None` for nothing.
fn whole_number(env: Env<'_>, value: Value<'_>, name: &str) -> Result<Option<u64>, Misuse> {
    let number = match env.type_of(value) {
        Type::Nothing => return Ok(None),
        Type::Number => env.number(value),
        Type::String => {
            let mut text = Vec::new();
            env.append_string(value, &mut text);
            std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok())
        }
        Type::Boolean | Type::Other => None,
    };
    match number {
        // Integers up to 2^53 are exact.
        Some(number) if (0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0 => {
            Ok(Some(number as u64))
        }
        Some(_) => Err(Misuse::out_of_range(format!("{name} must be an integer from 0 to 2^53-1"))),
        None => Err(Misuse::invalid_type(format!("{name} must be a number"))),
    }
}
