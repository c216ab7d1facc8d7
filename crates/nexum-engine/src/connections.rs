//! Takes connections for a server, so many at the same time and no more.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    time::sleep,
};

/// The pause after a connection that could not be accepted: most often there are no file
/// descriptors left, and the next attempt would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub(crate) trait Listener: Send {
    type Stream: Send;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Takes connections for ever, and answers each on a task of its own.
pub(crate) async fn take<L, A>(listener: L, most: usize, answer: impl Fn(L::Stream) -> A + Send)
where
    L: Listener,
    A: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    loop {
        match listener.next().await {
            Ok(stream) => {
                // Without a place it is closed at once: whoever waits would wait for a stranger.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    let answer = answer(stream);
                    tokio::spawn(async move {
                        let _place = place;
                        answer.await;
                    });
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
