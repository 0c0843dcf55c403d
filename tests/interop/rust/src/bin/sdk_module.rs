// SPDX-License-Identifier: MIT OR Apache-2.0
//
//! A module on the Rust SDK that does what it is told: a JSON object on each line of its standard input
//! says what, a line on its standard output says what came of it, as {"ok": ...} or
//! {"error": KIND, "text": ...}. Lines are done one after the other; heartbeat loops, which are the
//! SDK's own, run beside them.
//!
//! It keeps nothing of a module: whoever registers one gets what the SDK says of it, and hands that in
//! with later requests, changed if need be. What the SDK itself keeps is a connection for each id.

use pywatt_sdk::communication::{IpcChannel, IpcConnectionConfig};
use pywatt_sdk::message::{Message, MessageMetadata};
use pywatt_sdk::registration::{
    advertise_capabilities, heartbeat, register_module, start_heartbeat_loop, unregister_module,
    Capabilities, CapabilitiesRequest, CapabilitiesResponse, HealthStatus, HeartbeatRequest,
    HeartbeatResponse, ModuleInfo, RegisteredModule, RegistrationError, RegistrationRequest,
    RegistrationResponse, UnregistrationRequest, UnregistrationResponse,
};
use pywatt_sdk::tcp_types::ConnectionConfig;
use pywatt_sdk::MessageChannel;
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use serde_json::{json, Value};
use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Request {
    Register {
        host: String,
        port: u16,
        info: ModuleInfo,
    },
    Heartbeat {
        module: RegisteredModule,
        status: HealthStatus,
        details: Option<HashMap<String, String>>,
    },
    Advertise {
        module: RegisteredModule,
        capabilities: Capabilities,
    },
    Unregister {
        module: RegisteredModule,
    },
    /// At most one for each id.
    StartLoop {
        module: RegisteredModule,
        interval_ms: u64,
    },
    SetHealth {
        module: RegisteredModule,
        status: HealthStatus,
    },
    /// Answered when the loop has begun so many more beats.
    AwaitBeats {
        module: RegisteredModule,
        more: u64,
    },
    StopLoop {
        module: RegisteredModule,
    },
    /// So many modules at once, each with a connection and a whole life of its own.
    LiveAtOnce {
        host: String,
        port: u16,
        names: Vec<String>,
        beats: u32,
    },
    /// So many tasks at once that beat for one module, on its one connection.
    BeatAtOnce {
        module: RegisteredModule,
        tasks: u32,
        beats: u32,
    },
    /// Opens the SDK's channel over a Unix socket, on which Ask then asks.
    ConnectUnix {
        path: String,
    },
    Ask {
        content: Value,
    },
}

type Outcome = Result<Value, Box<dyn Error + Send + Sync>>;

struct Loop {
    status: Arc<Mutex<HealthStatus>>,
    begun: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    loops: HashMap<Uuid, Loop>,
    unix: Option<IpcChannel>,
}

impl State {
    async fn carry_out(&mut self, request: Request) -> Outcome {
        Ok(match request {
            Request::Register { host, port, info } => json!(register(&host, port, info).await?),
            Request::Heartbeat { module, status, details } => {
                json!(heartbeat(&module, status, details).await?)
            }
            Request::Advertise { module, capabilities } => {
                json!(advertise_capabilities(&module, capabilities).await?)
            }
            Request::Unregister { module } => json!(unregister_module(&module).await?),
            Request::StartLoop { module, interval_ms } => self.start_loop(module, interval_ms),
            Request::SetHealth { module, status } => {
                *self.find_loop(&module)?.status.lock().unwrap() = status;
                Value::Null
            }
            Request::AwaitBeats { module, more } => {
                let mut begun = self.find_loop(&module)?.begun.clone();
                let wanted = *begun.borrow() + more;
                let count = *begun.wait_for(|count| *count >= wanted).await?;
                json!(count)
            }
            Request::StopLoop { module } => {
                self.find_loop(&module)?.task.abort();
                json!(self.loops.remove(&module.id).is_some())
            }
            Request::LiveAtOnce { host, port, names, beats } => {
                let mut lives = JoinSet::new();
                for name in names {
                    lives.spawn(live(host.clone(), port, name, beats));
                }
                all(lives).await?
            }
            Request::BeatAtOnce { module, tasks, beats } => {
                let mut beating = JoinSet::new();
                for _ in 0..tasks {
                    beating.spawn(beat(module.clone(), vec![HealthStatus::Degraded], beats));
                }
                all(beating).await?
            }
            Request::ConnectUnix { path } => {
                let config = IpcConnectionConfig::new(path);
                self.unix = Some(IpcChannel::connect(config).await?);
                Value::Null
            }
            Request::Ask { content } => {
                ask_any(self.unix.as_ref().ok_or("no channel is open")?, content).await?
            }
        })
    }

    fn start_loop(&mut self, module: RegisteredModule, interval_ms: u64) -> Value {
        let id = module.id;
        let status = Arc::new(Mutex::new(HealthStatus::Healthy));
        let (counter, begun) = watch::channel(0);
        let told = status.clone();
        let task = start_heartbeat_loop(module, Duration::from_millis(interval_ms), move || {
            counter.send_modify(|count| *count += 1);
            (*told.lock().unwrap(), None)
        });
        self.loops.insert(id, Loop { status, begun, task });
        Value::Null
    }

    fn find_loop(&self, module: &RegisteredModule) -> Result<&Loop, &'static str> {
        self.loops.get(&module.id).ok_or("no loop for this module")
    }
}

async fn register(
    host: &str,
    port: u16,
    info: ModuleInfo,
) -> Result<RegisteredModule, RegistrationError> {
    register_module(ConnectionConfig::new(host, port), info).await
}

/// Beats so often, with the given states in turn; each reply must have the state that was sent.
async fn beat(module: RegisteredModule, states: Vec<HealthStatus>, beats: u32) -> Outcome {
    for status in states.into_iter().cycle().take(beats as usize) {
        let seen = heartbeat(&module, status, None).await?;
        if seen != status {
            return Err(format!("{seen} is the reply to {status}").into());
        }
    }
    Ok(json!(beats))
}

async fn live(host: String, port: u16, name: String, beats: u32) -> Outcome {
    let module = register(&host, port, ModuleInfo::new(name.as_str(), "1", "one of many")).await?;
    let capabilities = Capabilities::new().with_message_type(name.as_str());
    advertise_capabilities(&module, capabilities).await?;
    let states = vec![HealthStatus::Unhealthy, HealthStatus::Degraded, HealthStatus::Healthy];
    beat(module.clone(), states, beats).await?;
    unregister_module(&module).await?;
    Ok(json!(module.info.name))
}

async fn all(mut tasks: JoinSet<Outcome>) -> Outcome {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result??);
    }
    Ok(json!(results))
}

// The SDK has calls for TCP alone. Over a Unix socket there are its channel, and its types.

async fn ask_any(channel: &IpcChannel, content: Value) -> Outcome {
    match content["request_type"].as_str() {
        Some("register") => {
            ask::<RegistrationRequest, RegistrationResponse>(channel, content).await
        }
        Some("heartbeat") => ask::<HeartbeatRequest, HeartbeatResponse>(channel, content).await,
        Some("capabilities") => {
            ask::<CapabilitiesRequest, CapabilitiesResponse>(channel, content).await
        }
        Some("unregister") => {
            ask::<UnregistrationRequest, UnregistrationResponse>(channel, content).await
        }
        _ => Err("no such request".into()),
    }
}

async fn ask<Q, R>(channel: &IpcChannel, content: Value) -> Outcome
where
    Q: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let request: Q = serde_json::from_value(content)?;
    let metadata = MessageMetadata::new().with_id(Uuid::new_v4().to_string());
    channel.send(Message::with_metadata(request, metadata).encode()?).await?;
    let reply: R = serde_json::from_slice(channel.receive().await?.data())?;
    Ok(json!(reply))
}

fn kind(error: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    match error.downcast_ref::<RegistrationError>() {
        Some(RegistrationError::NameTaken(_)) => "NameTaken",
        Some(RegistrationError::ConnectionError(_)) => "ConnectionError",
        Some(RegistrationError::Rejected(_)) => "Rejected",
        Some(RegistrationError::AuthenticationFailed(_)) => "AuthenticationFailed",
        Some(RegistrationError::SerializationError(_)) => "SerializationError",
        Some(RegistrationError::ChannelError(_)) => "ChannelError",
        Some(RegistrationError::Timeout(_)) => "Timeout",
        Some(RegistrationError::IoError(_)) => "IoError",
        None => "other",
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("threads can be started");
    let mut state = State::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let request: Request = serde_json::from_str(&line).expect("the line is a request");
        let outcome = match runtime.block_on(state.carry_out(request)) {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": kind(error.as_ref()), "text": error.to_string() }),
        };
        println!("{outcome}");
    }
}
