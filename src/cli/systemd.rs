//! Tells the service manager the state of the server: the protocol of sd_notify(3), for units of `Type=notify`.

use sd_notify::NotifyState;

/// Sends a state to the manager that `NOTIFY_SOCKET` names; nothing without one.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    // Set and empty means the same as not set, as it does to systemd's own library.
    if std::env::var_os("NOTIFY_SOCKET").is_none_or(|socket| socket.is_empty()) {
        return;
    }
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told the state of the server");
    }
}

/// Announces a reload, with the time that units of `Type=notify-reload` need. Its end is announced as ready.
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the monotonic clock can't be read"),
    }
}
