//! The server: authentication, sessions and a route for administrators.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use veltix::handler::{Context, FromContext, FromRef};
use veltix::{
    BoxError, Extension, HandshakeInfo, Hub, Identity, Msg, Peer, Refuse, Rejection, Router, State,
    TargetError, tag,
};

#[veltix::message]
pub(crate) enum Auth {
    /// The first request of the server to a peer without a token in its handshake, for example a
    /// Python client.
    #[message(code = 200, reply = Token)]
    WhoAreYou,
    #[message(code = 201)]
    Token { token: String },
    /// The peer is admitted.
    #[message(code = 202)]
    Welcome { user: String },
    /// The peer is refused, and the connection ends.
    #[message(code = 203)]
    Refused { reason: String },
    /// For all admitted peers.
    #[message(code = 204, reply = Roster)]
    WhoIsHere,
    #[message(code = 205)]
    Roster { users: Vec<String> },
    /// For administrators only.
    #[message(code = 206, reply = Kicked, error = Denied)]
    Kick { user: String },
    #[message(code = 207)]
    Kicked { connections: usize },
    #[message(code = 208)]
    Denied { reason: String },
}

/// The state of the handlers. Each handler takes the part that it needs, as `State<Part>`.
#[derive(Clone, Default)]
pub(crate) struct App {
    pub(crate) accounts: Accounts,
    pub(crate) journal: Journal,
}

impl FromRef<App> for Accounts {
    fn from_ref(app: &App) -> Self {
        app.accounts.clone()
    }
}

impl FromRef<App> for Journal {
    fn from_ref(app: &App) -> Self {
        app.journal.clone()
    }
}

/// Sessions by token. A real application reads them from a database, and stores no token in plain text.
#[derive(Clone, Default)]
pub(crate) struct Accounts(Arc<HashMap<String, Session>>);

impl Accounts {
    /// Makes accounts of (token, user, whether an administrator).
    pub(crate) fn of<const N: usize>(accounts: [(&str, &str, bool); N]) -> Self {
        let account = |(token, user, is_admin): (&str, &str, bool)| {
            (token.to_owned(), Session { user: user.to_owned(), is_admin })
        };
        Self(Arc::new(accounts.into_iter().map(account).collect()))
    }
}

/// Returns the session for the token of a handshake. A wrong token is refused here. A peer without a
/// token is asked later, in `on_connect`.
async fn authenticate(
    State(accounts): State<Accounts>,
    info: HandshakeInfo,
) -> Result<Option<Session>, Refuse> {
    let Some(token) = info.token() else { return Ok(None) };
    let session = accounts.0.get(token.expose());
    session.cloned().map(Some).ok_or_else(|| Refuse::new("nobody has this token"))
}

/// The actions of administrators.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, line: String) {
        self.0.lock().expect("no holder panics").push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no holder panics").clone()
    }
}

/// The identity of a peer. It is attached to the peer, and handlers take it as `Extension<Session>`.
#[derive(Clone)]
pub(crate) struct Session {
    user: String,
    is_admin: bool,
}

/// Greets a peer that is known from the handshake, and asks any other peer for its token. Until this
/// returns `Ok`, no message of the peer is handled, and the peer is neither listed nor reached by broadcasts.
async fn enter(
    peer: Peer,
    State(accounts): State<Accounts>,
    known: Identity<Option<Session>>,
) -> Result<(), BoxError> {
    let session = match &*known {
        Some(session) => session.clone(),
        None => ask(&peer, &accounts).await?,
    };
    peer.set_tag(("user", session.user.as_str()))?;
    peer.send(&Welcome { user: session.user.clone() }).await?;
    peer.attach(session);
    Ok(())
}

/// Requests the token of a peer.
async fn ask(peer: &Peer, accounts: &Accounts) -> Result<Session, BoxError> {
    let answer = peer.request(&WhoAreYou).timeout(Duration::from_secs(5)).await?;
    let Some(session) = accounts.0.get(&answer.token) else {
        // The error is not sent to the peer, so this message gives the reason. Queued messages are
        // still written.
        peer.send(&Refused { reason: "nobody has this token".into() }).await?;
        return Err("nobody has this token".into());
    };
    Ok(session.clone())
}

async fn who_is_here(hub: Hub, Msg(_): Msg<WhoIsHere>) -> veltix::Result<Roster> {
    let name = |peer: &Peer| Some(peer.attached::<Session>()?.user.clone());
    let mut users: Vec<_> = hub.list(tag("user"))?.iter().filter_map(name).collect();
    users.sort();
    Ok(Roster { users })
}

/// An extractor. It rejects messages of peers that are no administrators.
struct Admin(Session);

impl<S> FromContext<S> for Admin {
    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        let Extension(session) = Extension::<Session>::from_context(cx, state)?;
        if session.is_admin {
            Ok(Self(session))
        } else {
            Err(Rejection::other(format!("{} is no admin", session.user)))
        }
    }
}

/// Answers rejected messages, for example for lack of rights or because of their body.
impl From<&Rejection> for Denied {
    fn from(rejection: &Rejection) -> Self {
        Self { reason: rejection.to_string() }
    }
}

async fn kick(
    hub: Hub,
    Admin(admin): Admin,
    State(journal): State<Journal>,
    Msg(kick): Msg<Kick>,
) -> Result<Kicked, Denied> {
    if kick.user == admin.user {
        return Err(Denied { reason: "that is you".into() });
    }
    let target = tag("user").is(kick.user.as_str());
    let denied = |error: TargetError| Denied { reason: error.to_string() };
    let peers = hub.list(&target).map_err(denied)?;
    let connections = hub.close(&target, format!("kicked by {}", admin.user)).map_err(denied)?;
    journal.note(format!("{} kicked {} ({connections})", admin.user, kick.user));
    // The connections end a moment later. The answer says that nobody finds them any more.
    for peer in peers {
        peer.closed().await;
    }
    Ok(Kicked { connections })
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .authenticate(authenticate)
        .on_connect(enter)
        .on(who_is_here)
        .on(kick)
        .with_state(app)
}
