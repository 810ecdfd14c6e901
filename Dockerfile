# The image holds the binary and the certificates of public authorities, nothing else: no shell, no package manager.
#
#   docker build --tag ghcr.io/serin-dev/serin:0.1.0 .
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --package serin

# glibc and ca-certificates for a dynamically linked binary; the user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/serin /usr/local/bin/serin
ENTRYPOINT ["/usr/local/bin/serin"]
CMD ["controller"]
