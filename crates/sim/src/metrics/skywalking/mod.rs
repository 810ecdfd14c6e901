//! Answers GraphQL as a SkyWalking OAP server does.
