//! The guide: one page per topic, each with an example first.
//!
//! | topic | pages |
//! |---|---|
//! | application | [messages], [handlers], [replies and errors](replies), [routes], [state and sessions](state), [blocking and concurrent handlers](concurrency), [layers] |
//! | communication | [sending], [targets], [requests], [clients], [Python peers](python) |
//! | connections | [lifecycle], [identity], [TLS](tls), [transports] |
//! | operation | [limits], [network], [load balancers](load_balancer), [shutdown], [shutdown in operation](shutdown_operation), [clusters](mod@cluster), [events and logs](events), [features] |
//! | quality | [testing], [guarantees] |

// The links of the pages resolve in this scope.
#[allow(unused_imports, reason = "links are no use of an import for the compiler")]
use crate::{client::*, handler::*, layer::*, request::*, stats::*, typed::*, *};

/// Adds a page. A second file stands behind the first, for links that only rustdoc resolves. In a
/// build without a feature, links to its items lead to the page of features.
macro_rules! pages {
    ($($page:ident $file:literal $($more:literal)?)*) => {$(
        #[cfg_attr(feature = "signal", doc = "[`stop_signal`]: crate::stop_signal")]
        #[cfg_attr(not(feature = "signal"), doc = "[`stop_signal`]: crate::_guide::features")]
        #[cfg_attr(feature = "testing", doc = "[testing]: crate::testing")]
        #[cfg_attr(not(feature = "testing"), doc = "[testing]: crate::_guide::features")]
        #[cfg_attr(any(feature = "tls", feature = "tls-aws-lc-rs"), doc = "
[`CertificateStore`]: crate::tls::CertificateStore
[`ClientTls`]: crate::tls::ClientTls
[`PeerCertificates`]: crate::tls::PeerCertificates
[`ServerTls`]: crate::tls::ServerTls")]
        #[cfg_attr(not(any(feature = "tls", feature = "tls-aws-lc-rs")), doc = "
[`CertificateStore`]: crate::_guide::features
[`ClientTls`]: crate::_guide::features
[`PeerCertificates`]: crate::_guide::features
[`ServerTls`]: crate::_guide::features")]
        #[doc = ""]
        #[doc = include_str!($file)]
        $(#[doc = include_str!($more)])?
        pub mod $page {}
    )*};
}

pages! {
    messages "messages.md"
    handlers "handlers.md"
    replies "replies.md"
    routes "routes.md"
    state "state.md"
    concurrency "concurrency.md"
    layers "layers.md"
    sending "sending.md"
    targets "targets.md"
    requests "requests.md"
    clients "clients.md"
    python "python.md"
    lifecycle "lifecycle.md"
    identity "identity.md"
    tls "tls.md"
    transports "transports.md"
    limits "../../docs/limits.md" "setters.md"
    network "../../docs/network.md"
    load_balancer "../../docs/load-balancer.md"
    shutdown "shutdown.md"
    shutdown_operation "../../docs/shutdown.md"
    cluster "../../docs/cluster.md"
    events "events.md"
    observability "../../docs/observability.md"
    features "../../docs/features.md"
    testing "testing.md"
    guarantees "guarantees.md"
}
