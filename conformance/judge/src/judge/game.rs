//! One case, one way to cut the bytes, one branch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::expect::{self, Heard};
use super::{Accepts, Sent, Stream, Unit};
use crate::subject::{Answer, Op, Role, Subject, Trouble};
use crate::vector::{FramePattern, Input, Preset, Split, SplitMix64, StateBounds, Step, Take, to_hex};
use crate::wire::{self, ACK_STEP, Kind};

/// The close code of a router that does not accept a claim.
const CLAIM_REFUSED: u64 = 26;

/// Long after every timer.
const LONG_AFTER_MS: u32 = 10 * 60 * 1000;

/// How a game went.
pub type Played = Result<(), Failure>;

/// Why a game was not won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The subject lacks what the case needs.
    Unsupported(String),
    /// A step did not go as it must.
    Step(Box<FailedStep>),
}

/// A step that did not go as it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// Its number from 0, those of the opening counted.
    pub number: usize,
    /// What its input is, for people.
    pub input: String,
    /// What is wrong.
    pub problem: String,
    /// What must come.
    pub expected: Vec<String>,
    /// What came.
    pub came: Vec<String>,
}

/// A connection of the runner with a subject.
#[derive(Debug)]
pub struct Game<'a> {
    subject: &'a mut dyn Subject,
    preset: &'a Preset,
    split: Split,
    random: SplitMix64,
    stream: Stream,
    sent: Sent,
    /// The connection has ended.
    over: bool,
    /// The transport does not take everything.
    held_back: bool,
    /// It did not when the connection ended, so that what waited may come in a later step, which lists it.
    late: bool,
    /// What we have acknowledged.
    acked: u64,
    /// What has come of each body of the subject's, by id.
    bodies: BTreeMap<u64, Vec<u8>>,
    /// What the whole of a body must be of which a step has listed the beginning.
    begun: BTreeMap<u64, Vec<u8>>,
    heard: Heard,
}

impl<'a> Game<'a> {
    /// A game from a preset; the seed says how bytes are cut.
    pub fn new(subject: &'a mut dyn Subject, preset: &'a Preset, split: Split, seed: u64) -> Self {
        Self {
            subject,
            preset,
            split,
            random: SplitMix64(seed),
            stream: Stream::new(preset.role, Accepts::of(&preset.peer.limits)),
            sent: Sent::default(),
            over: false,
            held_back: false,
            late: false,
            acked: 0,
            bodies: BTreeMap::new(),
            begun: BTreeMap::new(),
            heard: Heard::default(),
        }
    }

    /// Plays steps to the end, and then makes sure that an end is one.
    ///
    /// # Errors
    /// The first step that did not go as it must.
    pub fn play<'s>(&mut self, steps: impl IntoIterator<Item = &'s Step>) -> Played {
        let mut count = 0;
        for (number, step) in steps.into_iter().enumerate() {
            count = number + 1;
            self.heard = Heard::default();
            self.step(step).map_err(|trouble| match trouble {
                Trouble::Unsupported(what) => Failure::Unsupported(what),
                Trouble::Broken(problem) => Failure::Step(Box::new(FailedStep {
                    number,
                    input: describe(step),
                    problem,
                    expected: expect::show_wanted(step),
                    came: expect::show_heard(&self.heard),
                })),
            })?;
        }
        let failed = |game: &Self, input: &str, expected: Vec<String>, trouble| {
            let problem = match trouble {
                Trouble::Unsupported(what) => format!("unsupported only now: {what}"),
                Trouble::Broken(problem) => problem,
            };
            let (input, came) = (input.to_owned(), expect::show_heard(&game.heard));
            Failure::Step(Box::new(FailedStep { number: count, input, problem, expected, came }))
        };
        if self.subject.bytes_only() {
            self.goes_on().map_err(|trouble| failed(self, "a Ping", vec!["Pong".to_owned()], trouble))
        } else {
            let input = "after the end the transport takes everything, more bytes come, and much time passes";
            self.after_the_end().map_err(|trouble| failed(self, input, Vec::new(), trouble))
        }
    }

    /// When to play again, if a router has refused the claim for now: it may count the connection of the last case as live
    /// a moment longer (R-A-4), and has said when to come again (R-8-24).
    #[must_use]
    pub fn comes_again_after(&self) -> Option<Duration> {
        let last = self.heard.frames.last()?;
        let refused = last.kind == Kind::Reject && last.number("code") == CLAIM_REFUSED;
        let after = Duration::from_millis(last.number("retry_after_ms"));
        (self.subject.bytes_only() && refused && !after.is_zero()).then_some(after)
    }

    fn step(&mut self, step: &Step) -> Result<(), Trouble> {
        match step.input().map_err(Trouble::Broken)? {
            Input::State(bounds) => return self.state(bounds),
            Input::Decode { name, bytes, wanted } => {
                let bytes = bytes.plain().unwrap_or_default();
                return self.decode(name, &bytes, wanted);
            }
            Input::Encode { name, value, bytes } => {
                return self.encode(name, value, &bytes.plain().unwrap_or_default());
            }
            Input::Compute { function, args, value } => {
                let op = Op::Compute { function: function.to_owned(), args: args.clone() };
                let got = self.subject.ask(op)?.value;
                return same(got.as_ref() == Some(value), || {
                    format!("{value} expected, {} came", shown(got.as_ref()))
                });
            }
            input => self.give(input)?,
        }
        self.acknowledge(step)?;
        let bytes_only = self.subject.bytes_only();
        let mut verdict = expect::judge(step, &self.heard, bytes_only);
        while verdict.is_err()
            && let Some(answer) = self.subject.more(self.over)
        {
            self.hear(answer)?;
            verdict = expect::judge(step, &self.heard, bytes_only);
        }
        verdict.map_err(Trouble::Broken)?;
        self.check_begun(step)?;
        same(self.over || self.held_back || bytes_only || !self.stream.in_frame(), || {
            "only a part of a frame came, though the transport takes everything".to_owned()
        })?;
        let owed = self.sent.body_bytes - self.stream.acked;
        let must_ack = self.is_open() && !self.held_back && !self.over && !bytes_only;
        same(owed < ACK_STEP || !must_ack, || {
            format!("an Ack is due: {owed} body bytes are not acknowledged (R-13-2)")
        })
    }

    fn give(&mut self, input: Input<'_>) -> Result<(), Trouble> {
        match input {
            Input::Start => {
                let config = Box::new(self.preset.subject.clone());
                let (role, application) = (self.preset.role, self.preset.application);
                self.ask(Op::Start { role, application, config })
            }
            Input::Rx(bytes) => {
                let ping = self.stream.ping;
                let bytes = bytes.expand(|add| {
                    let nonce = ping?.wrapping_add(add.into());
                    Some(wire::frame_bytes(Kind::Pong, &json!({"nonce": nonce.to_string()})))
                });
                let bytes =
                    bytes.ok_or_else(|| Trouble::Broken("the subject has sent no Ping".to_owned()))?;
                self.cut(bytes.len()).windows(2).try_for_each(|cut| self.send(&bytes[cut[0]..cut[1]]))
            }
            Input::Eof => self.ask(Op::Eof),
            Input::Advance(ms) => self.ask(Op::Advance { ms }),
            Input::Transport(take) => {
                self.held_back = take != Take::All;
                self.ask(Op::Transport {
                    take: match take {
                        Take::All => None,
                        Take::Bytes(count) => Some(count),
                    },
                })
            }
            Input::Do(command) => self.ask(command.clone()),
            _ => Ok(()),
        }
    }

    /// Where to cut so many bytes: 0, then each cut, then the end.
    fn cut(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = match self.split {
            Split::Whole => vec![0, length],
            Split::Bytes => (0..=length).collect(),
            Split::Random => {
                let count = 1 + self.random.below(8);
                let cuts = (0..count).map(|_| self.random.below(length + 1));
                cuts.chain([0, length]).collect()
            }
        };
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.len() == 1 { vec![0, 0] } else { cuts }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.sent.add(bytes);
        if let Some(declared) = self.sent.declared {
            self.stream.accepts = declared;
        }
        self.ask(Op::Rx { bytes: bytes.to_vec() })
    }

    fn ask(&mut self, op: Op) -> Result<(), Trouble> {
        let answer = self.subject.ask(op)?;
        self.hear(answer)
    }

    fn hear(&mut self, mut answer: Answer) -> Result<(), Trouble> {
        same(!self.over || ((answer.tx.is_empty() || self.late) && answer.end.is_none()), || {
            format!("after the end came {}", wire::show_bytes(&answer.tx))
        })?;
        self.stream.add(&std::mem::take(&mut answer.tx));
        let ended = answer.end.is_some();
        self.heard.take_rest(answer);
        while let Some(unit) = self.stream.next_unit(self.sent.body_bytes).map_err(Trouble::Broken)? {
            if let Unit::Frame(frame) = unit {
                match frame.kind {
                    Kind::Request | Kind::Response => {
                        self.bodies.insert(frame.number("id"), frame.body.clone());
                    }
                    Kind::PacketChunk => {
                        self.bodies.entry(frame.number("id")).or_default().extend_from_slice(&frame.body);
                    }
                    _ => {}
                }
                self.heard.frames.push(frame);
            }
        }
        if ended {
            (self.over, self.late) = (true, self.held_back);
        }
        Ok(())
    }

    /// A whole body that a step lists may need acknowledgements before the subject can send all of it.
    fn acknowledge(&mut self, step: &Step) -> Result<(), Trouble> {
        let whole_body = |pattern: &FramePattern| match pattern {
            FramePattern::Fields(fields) => {
                (fields.body.is_some() || fields.message.is_some()) && !fields.partial
            }
            FramePattern::Exact(..) => false,
        };
        if !step.tx.iter().any(whole_body) {
            return Ok(());
        }
        while !self.over
            && !self.held_back
            && self.stream.in_body()
            && self.stream.body_bytes >= self.acked + ACK_STEP
        {
            self.acked = self.stream.body_bytes;
            let ack = wire::frame_bytes(Kind::Ack, &json!({"received": self.acked.to_string()}));
            self.send(&ack)?;
        }
        Ok(())
    }

    /// A body whose beginning was listed goes on as it must, in whatever steps.
    fn check_begun(&mut self, step: &Step) -> Result<(), Trouble> {
        for pattern in &step.tx {
            if let FramePattern::Fields(fields) = pattern
                && let (true, Some(body)) = (fields.partial, &fields.body)
                && let Some(id) = fields.fields.get("id").and_then(|id| id.as_str()?.parse().ok())
            {
                self.begun.insert(id, body.clone());
            }
        }
        let wrong = self
            .begun
            .iter()
            .find(|(id, whole)| self.bodies.get(id).is_some_and(|came| !whole.starts_with(came)));
        same(wrong.is_none(), || {
            format!("the body of {} goes on with other bytes", wrong.map_or(0, |(id, _)| *id))
        })
    }

    /// Whether frames of requests may be read, as far as the peer knows.
    fn is_open(&self) -> bool {
        match self.preset.role {
            Role::Router => self.stream.has_frames(),
            Role::Worker => self.sent.welcome,
        }
    }

    fn state(&mut self, bounds: &StateBounds) -> Result<(), Trouble> {
        let state = self.subject.ask(Op::State)?.state.unwrap_or_default();
        let equal =
            |wanted: Option<u64>, has: Option<u64>| wanted.is_none() || has.is_none() || wanted == has;
        let fits = equal(bounds.served, state.served)
            && equal(bounds.calls, state.calls)
            && bounds.held_max.is_none_or(|most| state.held.is_none_or(|held| held <= most));
        same(fits, || format!("it holds {state:?}, which is not within {bounds:?}"))
    }

    fn decode(
        &mut self,
        name: &str,
        bytes: &[u8],
        wanted: Result<Option<&serde_json::Value>, &str>,
    ) -> Result<(), Trouble> {
        let answer = self.subject.ask(Op::Decode { name: name.to_owned(), bytes: bytes.to_vec() })?;
        match wanted {
            Err(error) => same(answer.error.as_deref() == Some(error), || {
                format!(
                    "{error} expected, {} came",
                    answer.error.unwrap_or_else(|| shown(answer.value.as_ref()))
                )
            }),
            Ok(wanted) => {
                same(
                    answer.error.is_none()
                        && answer.value.is_some()
                        && (wanted.is_none() || answer.value.as_ref() == wanted),
                    || {
                        let came = answer.error.unwrap_or_else(|| shown(answer.value.as_ref()));
                        format!("{} expected, {came} came", shown(wanted))
                    },
                )?;
                wanted.map_or(Ok(()), |value| self.encode(name, value, bytes))
            }
        }
    }

    fn encode(&mut self, name: &str, value: &serde_json::Value, bytes: &[u8]) -> Result<(), Trouble> {
        let answer = self.subject.ask(Op::Encode { name: name.to_owned(), value: value.clone() })?;
        same(answer.bytes.as_deref() == Some(to_hex(bytes).as_str()), || {
            format!("{} expected, {} came", to_hex(bytes), answer.bytes.unwrap_or_default())
        })
    }

    /// Over a socket what is wrong may come late. A subject that is well answers a Ping, and sends nothing else before.
    fn goes_on(&mut self) -> Result<(), Trouble> {
        if self.over || !self.is_open() || !self.sent.is_between_frames() {
            return Ok(());
        }
        let probe = json!({"rx": to_hex(&ping()), "tx": [{"frame": "Pong", "nonce": "1"}]});
        let probe = serde_json::from_value(probe).map_err(|error| Trouble::Broken(error.to_string()))?;
        self.heard = Heard::default();
        self.step(&probe)
    }

    /// Nothing comes out of a connection that has ended, whatever goes in.
    fn after_the_end(&mut self) -> Result<(), Trouble> {
        self.heard = Heard::default();
        if !self.over {
            return Ok(());
        }
        let take_all = Op::Transport { take: None };
        for op in [take_all, Op::Rx { bytes: ping() }, Op::Advance { ms: LONG_AFTER_MS }, Op::Eof] {
            self.ask(op)?;
            same(self.heard.is_empty(), || "something came after the end".to_owned())?;
        }
        Ok(())
    }
}

fn ping() -> Vec<u8> {
    wire::frame_bytes(Kind::Ping, &json!({"nonce": "1"}))
}

fn same(right: bool, problem: impl FnOnce() -> String) -> Result<(), Trouble> {
    if right { Ok(()) } else { Err(Trouble::Broken(problem())) }
}

fn shown(value: Option<&serde_json::Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if text.chars().count() > 400 { text.chars().take(400).chain(['…']).collect() } else { text }
}

/// An op, for people: as its line of the contract.
fn in_short(op: &Op) -> String {
    shown(serde_json::to_value(op).ok().as_ref())
}

/// The input of a step, for people.
fn describe(step: &Step) -> String {
    let input = match step.input() {
        Ok(Input::Start) => "the connection starts".to_owned(),
        Ok(Input::Rx(bytes)) => match bytes.plain() {
            Some(bytes) => format!("the peer sends {}", wire::show_bytes(&bytes)),
            None => "the peer sends a Pong".to_owned(),
        },
        Ok(Input::Eof) => "the peer's stream ends".to_owned(),
        Ok(Input::Advance(ms)) => format!("{ms} ms pass"),
        Ok(Input::Transport(Take::All)) => "the transport takes everything".to_owned(),
        Ok(Input::Transport(Take::Bytes(count))) => format!("the transport takes {count} bytes"),
        Ok(Input::Do(command)) => format!("the application does {}", in_short(command)),
        Ok(Input::State(_)) => "what it holds".to_owned(),
        Ok(Input::Decode { name, bytes, .. }) => {
            format!("decode {name} of {}", to_hex(&bytes.plain().unwrap_or_default()))
        }
        Ok(Input::Encode { name, value, .. }) => format!("encode {name} {}", shown(Some(value))),
        Ok(Input::Compute { function, args, .. }) => format!("compute {function} {}", shown(Some(args))),
        Err(problem) => problem,
    };
    match &step.diag {
        Some(diag) => format!("{input} ({diag})"),
        None => input,
    }
}
