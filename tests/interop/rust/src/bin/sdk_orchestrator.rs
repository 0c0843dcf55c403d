// SPDX-License-Identifier: MIT OR Apache-2.0
//
//! A small orchestrator on the Rust SDK: its TcpChannel, its messages, its types. It listens at the
//! address that it is given, or at a free port, says so, and prints a line for each request that it granted.
//! Its modules are forgotten with it, and it knows nothing that the SDK does not: no request ids in replies,
//! no error codes, no leases.

use pywatt_sdk::message::{EncodedMessage, EncodingFormat, Message};
use pywatt_sdk::registration::{
    CapabilitiesRequest, CapabilitiesResponse, HeartbeatRequest, HeartbeatResponse, ModuleInfo,
    RegisteredModule, RegistrationRequest, RegistrationResponse, UnregistrationRequest,
    UnregistrationResponse,
};
use pywatt_sdk::{MessageChannel, TcpChannel};
use serde::Serialize;
use serde_json::{json, Value};
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

type Failure = Box<dyn Error + Send + Sync>;

struct Orchestrator {
    address: SocketAddr,
    modules: Mutex<HashMap<Uuid, RegisteredModule>>,
}

impl Orchestrator {
    fn register(&self, info: ModuleInfo) -> Result<RegisteredModule, String> {
        let mut modules = self.modules.lock().unwrap();
        if modules.values().any(|module| module.info.name == info.name) {
            return Err(format!("Module name '{}' is already taken", info.name));
        }
        let module = RegisteredModule {
            id: info.id.unwrap_or_else(Uuid::new_v4),
            info,
            token: Uuid::new_v4().to_string(),
            orchestrator_host: self.address.ip().to_string(),
            orchestrator_port: self.address.port(),
            env: Some(HashMap::from([("REGION".to_string(), "north".to_string())])),
            additional_data: None,
        };
        modules.insert(module.id, module.clone());
        Ok(module)
    }

    /// The name of a module that shows its token.
    fn check(&self, id: Uuid, token: &str) -> Result<String, String> {
        match self.modules.lock().unwrap().get(&id) {
            None => Err(format!("Module not found: {id}")),
            Some(module) if module.token != token => Err("Invalid token".to_string()),
            Some(module) => Ok(module.info.name.clone()),
        }
    }

    fn answer(&self, content: Value) -> Result<EncodedMessage, Failure> {
        let response_type = content["request_type"].as_str().unwrap_or("").to_string();
        match response_type.as_str() {
            "register" => {
                let request: RegistrationRequest = serde_json::from_value(content)?;
                let (module, error) = parts(self.register(request.module_info));
                if let Some(module) = &module {
                    tell("registered", &module.info.name, json!(module.info));
                }
                bare(RegistrationResponse {
                    response_type,
                    success: error.is_none(),
                    error,
                    module,
                })
            }
            "heartbeat" => {
                let request: HeartbeatRequest = serde_json::from_value(content)?;
                let (name, error) = parts(self.check(request.module_id, &request.token));
                if let Some(name) = name {
                    tell("beat", &name, json!([request.status, request.details]));
                }
                let (success, status) = (error.is_none(), request.status);
                let context = request.details;
                bare(HeartbeatResponse { response_type, success, error, status, context })
            }
            "capabilities" => {
                let request: CapabilitiesRequest = serde_json::from_value(content)?;
                let (name, error) = parts(self.check(request.module_id, &request.token));
                if let Some(name) = name {
                    tell("advertised", &name, json!(request.capabilities));
                }
                bare(CapabilitiesResponse { response_type, success: error.is_none(), error })
            }
            "unregister" => {
                let request: UnregistrationRequest = serde_json::from_value(content)?;
                let (name, error) = parts(self.check(request.module_id, &request.token));
                if let Some(name) = name {
                    self.modules.lock().unwrap().remove(&request.module_id);
                    tell("unregistered", &name, Value::Null);
                }
                bare(UnregistrationResponse { response_type, success: error.is_none(), error })
            }
            _ => Err(format!("no such request: {content}").into()),
        }
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), Failure> {
        let channel = TcpChannel::from_accepted_stream(stream, peer).await;
        // At the end of a connection it tries to connect to the peer, cannot, and says so.
        while let Ok(frame) = channel.receive().await {
            let message: Message<Value> = serde_json::from_slice(frame.data())?;
            channel.send(self.answer(message.content)?).await?;
        }
        Ok(())
    }
}

fn parts<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(text) => (None, Some(text)),
    }
}

/// The SDK takes replies that way only, without the envelope.
fn bare(reply: impl Serialize) -> Result<EncodedMessage, Failure> {
    Ok(EncodedMessage::new(serde_json::to_vec(&reply)?, EncodingFormat::Json))
}

fn tell(what: &str, name: &str, more: Value) {
    println!("{what} {name} {more}");
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_string());
    let listener = TcpListener::bind(wanted).await?;
    let address = listener.local_addr()?;
    let modules = Mutex::default();
    let orchestrator = Arc::new(Orchestrator { address, modules });
    println!("listening tcp://{address}");
    loop {
        let (stream, peer) = listener.accept().await?;
        let orchestrator = orchestrator.clone();
        tokio::spawn(async move {
            if let Err(error) = orchestrator.serve(stream, peer).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
