# What builds where. .ci/test builds all of it, .ci/release makes binaries.

# The whole program: a node and its client.
node_platforms=(linux/amd64 linux/arm64 linux/386)

# The client alone: it asks a node, verifies files and checks proofs.
client_platforms=(darwin/arm64 darwin/amd64 windows/amd64)

# Packages that need no Linux, and where else they build.
portable_platforms=(darwin/arm64 darwin/amd64 windows/amd64)
portable_packages=(
  ./crdt
  ./audit/merkle
  ./audit/event
)
