//! The core itself, in process and in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::messages::{WorkerWelcome, decode as decode_message};
use nova_proto_core::{
    Body, Call, CallError, CallKey, CloseCode, CloseReason, Compression, Connection, ErrorCode, ErrorReply,
    Event, Request, RequestId, Retry, TraceContext, compress,
};
use serde_json::{Map, Value, json};

use nova_conformance_judge::subject::{
    Answer, Application, By, CallOp, Config, End, Op, Role, State, Subject, Trouble,
};
use nova_conformance_judge::vector::{from_hex, to_hex};

use crate::nova::Worker;
use crate::{section_a, typed};

/// How long a worker may take to end when it is asked to.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// More than any number of timers that can be due in one step.
const MANY: usize = 100_000;

/// How much is taken from the core at once when the transport takes everything.
const TAKE: usize = 64 * 1024;

/// The core as a subject.
#[derive(Debug, Default)]
pub struct Core {
    game: Option<Game>,
}

/// A connection and its application.
#[derive(Debug)]
struct Game {
    connection: Connection,
    now: Instant,
    /// How many bytes more the transport takes; `None` for all.
    take: Option<usize>,
    /// Bytes the core has given out, and the transport has not taken.
    ahead: Vec<u8>,
    labels: BTreeMap<CallKey, String>,
    keys: BTreeMap<String, CallKey>,
    /// Requests whose handlers run and were not told to end.
    running: BTreeSet<RequestId>,
    worker: Option<Worker>,
}

impl Subject for Core {
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        match op {
            Op::Start { role, application, config } => self.start(role, application, &config),
            Op::Decode { name, bytes } => decode(&name, &bytes),
            Op::Encode { name, value } => encode(&name, &value),
            Op::Compute { function, args } => {
                Ok(Answer { value: Some(section_a::compute(&function, &args)?), ..Answer::default() })
            }
            op => match &mut self.game {
                Some(game) => game.apply(op),
                None => Err(Trouble::Broken("there is no connection".to_owned())),
            },
        }
    }
}

impl Core {
    fn start(&mut self, role: Role, application: Application, config: &Config) -> Result<Answer, Trouble> {
        self.game = None;
        let worker = match (application, role) {
            (Application::None, _) => return Ok(Answer::default()),
            (Application::Driven, _) => None,
            (Application::Nova, Role::Worker) => Some(Worker::new(&config.nova.clone().unwrap_or_default())?),
            (Application::Nova, Role::Router) => {
                return Err(Trouble::Unsupported(
                    "a router with section A runs only over sockets".to_owned(),
                ));
            }
        };
        let now = Instant::now();
        let mut made = core_config(role, config)?;
        if let Some(worker) = &worker {
            made.hello = worker.hello();
        }
        let connection = Connection::new(made, now).map_err(|error| broken(&error))?;
        let game = Game {
            connection,
            now,
            take: None,
            ahead: Vec::new(),
            labels: BTreeMap::new(),
            keys: BTreeMap::new(),
            running: BTreeSet::new(),
            worker,
        };
        Ok(self.game.insert(game).settled(Answer::default()))
    }
}

fn core_config(role: Role, config: &Config) -> Result<nova_proto_core::Config, Trouble> {
    let role = match role {
        Role::Router => nova_proto_core::Role::Router,
        Role::Worker => nova_proto_core::Role::Worker,
    };
    let mut made = nova_proto_core::Config::new(role);
    made.versions.clone_from(&config.versions);
    made.limits = nova_proto_core::Limits {
        max_frame: config.limits.max_frame,
        max_body: config.limits.max_body,
        work_budget: number(&config.limits.work_budget)?,
        max_concurrent: config.limits.max_concurrent,
    };
    if let Some(timers) = config.timers {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        made.timers = nova_proto_core::Timers {
            handshake: ms(timers.handshake),
            keepalive: ms(timers.keepalive),
            keepalive_grace: ms(timers.grace),
            stall: ms(timers.stall),
        };
    }
    made.cancellation = config.features & 1 != 0;
    made.zstd = config.compression.contains(&Compression::Zstd.number());
    made.hello = bytes_of(config.app.as_deref())?.into();
    made.first_id = config.next_id.as_deref().map_or(Ok(0), number)?;
    Ok(made)
}

impl Game {
    fn apply(&mut self, op: Op) -> Result<Answer, Trouble> {
        let now = self.now;
        let mut answer = Answer::default();
        match op {
            Op::Rx { bytes } => self.connection.receive(&bytes, now),
            Op::Eof => self.connection.receive_eof(),
            Op::Advance { ms } => answer = self.advance(Duration::from_millis(ms.into()))?,
            Op::Transport { take } => self.take = take.map(|count| count as usize),
            Op::State => answer.state = Some(self.state()),
            // A command whose time has passed does nothing: the errors say only that.
            Op::Accept { app } => drop(self.connection.accept(app.into())),
            Op::Reject { code, retry_after_ms, message } => {
                let after = Duration::from_millis(retry_after_ms.into());
                drop(self.connection.reject(CloseCode(code), after, &message));
            }
            Op::Call(call) => self.call(*call, &mut answer)?,
            Op::Cancel { call } => {
                if let Some(key) = self.keys.get(&call) {
                    self.connection.cancel(*key);
                }
            }
            Op::Respond { id, body } => self.respond(request_id(&id)?, Ok(Bytes::from(body))),
            Op::RespondError { id, code, retry, retry_after_ms, message } => {
                let retry = match retry {
                    0 => Retry::Never,
                    1 => Retry::Later(Duration::from_millis(retry_after_ms.into())),
                    _ => Retry::Elsewhere,
                };
                self.respond(request_id(&id)?, Err(ErrorReply { code: ErrorCode(code), retry, message }));
            }
            Op::Fail { id } => {
                let error = ErrorReply::new(ErrorCode::INTERNAL, "the handler gave no answer");
                self.respond(request_id(&id)?, Err(error));
            }
            Op::Drain { deadline_ms } => {
                drop(self.connection.drain(Duration::from_millis(deadline_ms.into()), now));
            }
            Op::Close { code } => self.connection.close(CloseCode(code), ""),
            Op::Start { .. } | Op::Decode { .. } | Op::Encode { .. } | Op::Compute { .. } => {}
        }
        // As a driver does: some commands tell no time.
        self.connection.handle_timeout(now);
        Ok(self.settled(answer))
    }

    fn call(&mut self, op: CallOp, answer: &mut Answer) -> Result<(), Trouble> {
        let trace = op.trace.as_deref().map(trace_context).transpose()?;
        let call = Call {
            method: op.method,
            body: Body::from(op.body),
            reply_max: op.reply_max,
            timeout: (op.deadline_ms > 0).then(|| Duration::from_millis(op.deadline_ms.into())),
            trace,
            may_wait: op.within.is_none(),
        };
        match self.connection.call(call, self.now) {
            Ok(key) => {
                self.labels.insert(key, op.call.clone());
                self.keys.insert(op.call, key);
            }
            Err(_) => answer.events.push(event(&json!({
                "event": "answer", "call": op.call, "result": "failed", "safe": true,
            }))),
        }
        Ok(())
    }

    fn respond(&mut self, id: RequestId, result: Result<Bytes, ErrorReply>) {
        self.running.remove(&id);
        // It fails only if the answer is not owed any more.
        drop(match result {
            Ok(body) => self.connection.respond(id, body),
            Err(error) => self.connection.respond_error(id, error),
        });
    }

    /// Fires what is due on the way, each timer at its time.
    fn advance(&mut self, by: Duration) -> Result<Answer, Trouble> {
        let until = self.now + by;
        let mut answer = Answer::default();
        for _ in 0..MANY {
            let due = self.connection.poll_timeout().filter(|due| *due <= until);
            self.now = due.unwrap_or(until).max(self.now);
            self.connection.handle_timeout(self.now);
            answer = self.settled(answer);
            if due.is_none() {
                return Ok(answer);
            }
        }
        Err(Trouble::Broken("a timer is due for ever".to_owned()))
    }

    /// Everything that comes now, also of timers that are due at once because of it.
    fn settled(&mut self, mut answer: Answer) -> Answer {
        answer = self.moved(answer);
        if self.connection.poll_timeout().is_some_and(|due| due <= self.now) {
            self.connection.handle_timeout(self.now);
            answer = self.moved(answer);
        }
        answer
    }

    /// Pulls events and output until neither comes any more.
    fn moved(&mut self, mut answer: Answer) -> Answer {
        loop {
            while let Some(happened) = self.connection.poll_event() {
                self.on_event(happened, &mut answer);
            }
            if !self.transmit(&mut answer.tx) {
                return answer;
            }
        }
    }

    /// Whether the core gave anything out: that may have ended something.
    fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let mut moved = false;
        loop {
            let room = self.take.unwrap_or(TAKE);
            let lacking = room.saturating_sub(self.ahead.len());
            if lacking > 0 {
                moved |= self.connection.poll_transmit(&mut self.ahead, lacking) > 0;
            }
            let count = self.ahead.len().min(self.take.unwrap_or(usize::MAX));
            if count == 0 {
                return moved;
            }
            out.extend(self.ahead.drain(..count));
            self.connection.wrote(self.now);
            if let Some(take) = &mut self.take {
                *take -= count;
            }
        }
    }

    fn on_event(&mut self, happened: Event, answer: &mut Answer) {
        let said = match happened {
            Event::Hello { app } => json!({"event": "hello", "app": to_hex(&app)}),
            Event::Connected { agreed, app } => {
                let mut open = json!({
                    "event": "open",
                    "version": agreed.version,
                    "features": u32::from(agreed.cancellation),
                    "compression": if agreed.zstd { vec![Compression::Zstd.number()] } else { Vec::new() },
                });
                if self.connection.role() == nova_proto_core::Role::Worker {
                    open["app"] = to_hex(&app).into();
                }
                if self.worker.as_ref().is_some_and(|_| decode_message::<WorkerWelcome>(&app).is_err()) {
                    self.connection.close(CloseCode::BAD_WELCOME, "the application part does not decode");
                }
                open
            }
            Event::Request(request) => match self.on_request(&request) {
                Some(said) => said,
                None => return,
            },
            Event::Cancelled { id } => {
                self.running.remove(&id);
                json!({"event": "cancelled", "id": id.get().to_string()})
            }
            Event::Answer { key, result } => {
                let label = self.labels.get(&key).cloned().unwrap_or_default();
                answer_event(&label, result)
            }
            Event::Closed(reason) => {
                answer.end = Some(end(&reason));
                let cancelled =
                    |id: RequestId| event(&json!({"event": "cancelled", "id": id.get().to_string()}));
                if self.worker.is_none() {
                    answer.events.extend(std::mem::take(&mut self.running).into_iter().map(cancelled));
                }
                return;
            }
            _ => return,
        };
        // Section A is its own application, and says only that it is let in.
        if self.worker.is_none() || said["event"] == "open" {
            answer.events.push(event(&said));
        }
    }

    /// Starts a handler, and says so; or answers where there is nothing to handle.
    fn on_request(&mut self, request: &Request) -> Option<Value> {
        let body = match compress::decompress(&request.body) {
            Ok(body) => body,
            Err(error) => {
                self.respond(request.id, Err(error));
                return None;
            }
        };
        if let Some(worker) = &mut self.worker {
            let result = worker.answer(request.method, &body, request.reply_max);
            let stop = worker.should_stop();
            self.respond(request.id, result);
            if stop {
                drop(self.connection.drain(DRAIN_WITHIN, self.now));
            }
            return None;
        }
        self.running.insert(request.id);
        let trace = request
            .trace
            .map(|trace| [to_hex(&trace.trace_id), to_hex(&trace.span_id), to_hex(&[trace.flags])].concat());
        Some(json!({
            "event": "request", "id": request.id.get().to_string(), "method": request.method, "body": to_hex(&body),
            "trace": trace,
        }))
    }

    fn state(&self) -> State {
        let stats = self.connection.stats();
        State { served: Some(stats.serving as u64), calls: Some(stats.calls_open as u64), held: None }
    }
}

fn answer_event(label: &str, result: Result<Body, CallError>) -> Value {
    let failed = |safe: bool| json!({"event": "answer", "call": label, "result": "failed", "safe": safe});
    match result {
        Ok(body) => match compress::decompress(&body) {
            Ok(body) => json!({"event": "answer", "call": label, "result": "ok", "body": to_hex(&body)}),
            Err(_) => failed(false),
        },
        Err(CallError::Remote(ErrorReply { code, retry, message })) => {
            let (retry, after) = match retry {
                Retry::Never => (0, Duration::ZERO),
                Retry::Later(after) => (1, after),
                Retry::Elsewhere => (2, Duration::ZERO),
            };
            json!({
                "event": "answer", "call": label, "result": "error", "code": code.0, "retry": retry,
                "retry_after_ms": u64::try_from(after.as_millis()).unwrap_or(u64::MAX), "message": message,
            })
        }
        Err(CallError::Draining) => failed(true),
        Err(CallError::Closed { retry_safe } | CallError::Deadline { retry_safe }) => failed(retry_safe),
        Err(_) => failed(false),
    }
}

fn end(reason: &CloseReason) -> End {
    let by = match reason {
        CloseReason::Local(_) | CloseReason::Violation(_) | CloseReason::Timeout(_) => By::Subject,
        _ => By::Peer,
    };
    End { code: reason.code().map(|code| code.0), by }
}

fn event(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn decode(name: &str, bytes: &[u8]) -> Result<Answer, Trouble> {
    match typed::decode(name, bytes) {
        Some(Ok(value)) => Ok(Answer { value: Some(value), ..Answer::default() }),
        Some(Err(error)) => Ok(Answer { error: Some(error.to_owned()), ..Answer::default() }),
        None => Err(Trouble::Unsupported(format!("decode {name}"))),
    }
}

fn encode(name: &str, value: &Value) -> Result<Answer, Trouble> {
    let bytes = typed::encode(name, value).ok_or_else(|| Trouble::Broken(format!("no {name}: {value}")))?;
    Ok(Answer { bytes: Some(to_hex(&bytes)), ..Answer::default() })
}

fn trace_context(hex: &str) -> Result<TraceContext, Trouble> {
    let bytes = bytes_of(Some(hex))?;
    let parts = bytes.split_first_chunk::<16>().and_then(|(trace_id, rest)| {
        let (span_id, flags) = rest.split_first_chunk::<8>()?;
        Some(TraceContext { trace_id: *trace_id, span_id: *span_id, flags: *flags.first()? })
    });
    parts.ok_or_else(|| Trouble::Broken("a trace has 25 bytes".to_owned()))
}

fn request_id(text: &str) -> Result<RequestId, Trouble> {
    RequestId::new(number(text)?).ok_or_else(|| Trouble::Broken("no request has the id 0".to_owned()))
}

fn number(text: &str) -> Result<u64, Trouble> {
    text.parse().map_err(|_| Trouble::Broken(format!("`{text}` is no number of 64 bits")))
}

fn bytes_of(hex: Option<&str>) -> Result<Vec<u8>, Trouble> {
    from_hex(hex.unwrap_or_default()).map_err(|error| broken(&error))
}

fn broken(problem: &dyn std::fmt::Display) -> Trouble {
    Trouble::Broken(problem.to_string())
}
