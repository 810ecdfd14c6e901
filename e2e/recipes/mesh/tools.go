//go:build tools

// Package tools pins the programs that are built from their own modules.
package tools

import (
	_ "istio.io/istio/istioctl/cmd/istioctl"
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
