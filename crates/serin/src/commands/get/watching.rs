//! Shows an object again and again: painted over on a terminal, appended elsewhere.

use std::iter;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::select_all;
use kube::runtime::{WatchStreamExt, watcher};

use super::fetch::{Fetched, Fetcher};
use crate::cluster::in_words;
use crate::console::Console;
use crate::view::Screen;

/// How long to wait for further changes before looking.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look without any change, since times go by.
const TICK: Duration = Duration::from_secs(1);

/// Draws what was fetched.
type Picture<'p> = &'p dyn Fn(&Fetched, &Console) -> anyhow::Result<Vec<String>>;

/// Shows it whenever something of it changes, until the process is interrupted.
pub(super) async fn watch(fetcher: &Fetcher, picture: Picture<'_>, console: &mut Console) -> anyhow::Result<()> {
    let mut changes = changes(fetcher).await?;
    let mut screen = if console.is_terminal() { Some(Screen::begin(console)?) } else { None };
    let shown = async {
        let mut last = Vec::new();
        loop {
            let fetched = fetcher.fetch().await?;
            let lines = picture(&fetched, console)?;
            match &mut screen {
                Some(screen) => screen.paint(lines, console)?,
                None if lines != last => {
                    lines.iter().try_for_each(|line| console.line(line))?;
                    console.line("")?;
                    console.flush()?;
                    last = lines;
                }
                None => {}
            }
            wait(&mut changes, screen.is_some()).await;
        }
    };
    let ended: anyhow::Result<()> = tokio::select! {
        ended = shown => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    };
    if let Some(screen) = screen {
        screen.end(console)?;
    }
    ended
}

/// Waits for a change, or for the next tick of a picture that shows times.
async fn wait(changes: &mut Changes, ticks: bool) {
    if ticks {
        // Either will do.
        let _ = tokio::time::timeout(TICK, changes.next()).await;
    } else {
        changes.next().await;
    }
    while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.next()).await {}
}

/// Something changed; nobody asks what.
type Changes = futures::stream::SelectAll<futures::stream::BoxStream<'static, ()>>;

async fn changes(fetcher: &Fetcher) -> anyhow::Result<Changes> {
    let name = fetcher.name();
    let mut streams = Vec::new();
    for kind in iter::once(fetcher.kind()).chain(fetcher.belonging()) {
        let api = fetcher.api(kind, &name.namespace).await.map_err(in_words)?;
        let mut config = watcher::Config::default();
        if let Some(selector) = kind.selector() {
            config = config.labels(&selector);
        }
        if kind == fetcher.kind() {
            config = config.fields(&format!("metadata.name={}", name.name));
        }
        streams.push(watcher(api, config).default_backoff().map(drop).boxed());
    }
    Ok(select_all(streams))
}
