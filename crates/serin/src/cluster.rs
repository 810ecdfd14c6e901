//! The way to a cluster, as kubectl finds it.

use anyhow::Context;
use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// The flags that all subcommands have that talk to a cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Connection {
    /// The kubeconfig context to use.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    context: Option<String>,
    /// The kubeconfig file to use.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    kubeconfig: Option<std::path::PathBuf>,
    /// The address of the API server, such as http://127.0.0.1:8001 for `serin demo --listen 127.0.0.1:8001`.
    #[arg(short, long, global = true, value_name = "URL", help_heading = "Cluster")]
    server: Option<String>,
}

impl Connection {
    /// A client, and the namespace that is meant if none is given.
    pub(crate) async fn open(&self) -> anyhow::Result<(Client, String)> {
        let config = self.config().await?;
        let namespace = config.default_namespace.clone();
        Ok((Client::try_from(config).context("no client can be made from the configuration")?, namespace))
    }

    /// A client.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        Ok(self.open().await?.0)
    }

    async fn config(&self) -> anyhow::Result<Config> {
        if let Some(server) = &self.server {
            let address = server.parse().with_context(|| format!("--server: `{server}` is no address"))?;
            return Ok(Config::new(address));
        }
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        if let Some(file) = &self.kubeconfig {
            let read = Kubeconfig::read_from(file).with_context(|| format!("{} cannot be used", file.display()))?;
            return Config::from_custom_kubeconfig(read, &options).await.context("the kubeconfig cannot be used");
        }
        if self.context.is_some() {
            return Config::from_kubeconfig(&options).await.context("the kubeconfig cannot be used");
        }
        Config::infer().await.context("no cluster is configured; set KUBECONFIG, or use --server")
    }
}

/// An error of the API server in its own words, without what only programs read.
pub(crate) fn in_words(error: kube::Error) -> anyhow::Error {
    if let kube::Error::Api(status) = &error
        && !status.message.is_empty()
    {
        return anyhow::anyhow!(status.message.clone());
    }
    error.into()
}

/// Chooses the TLS implementation, once, before the first connection.
pub(crate) fn install_tls() {
    // Fails only if there is one already, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
