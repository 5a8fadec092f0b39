package node

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"

	"auditmesh/audit/merkle"

	ma "github.com/multiformats/go-multiaddr"
)

// The transports of the mesh, and what may stand before and after them.
var (
	transports = []string{"tcp", "udp/quic-v1"}
	hosts      = []string{"ip4", "ip6", "ip6zone/ip6"}
	names      = []string{"dns", "dns4", "dns6"}
)

// checkMesh says what is wrong with the settings of the mesh by themselves.
func (c Config) checkMesh() (wrong problems) {
	if c.AuditTasklistID == "" {
		for key, given := range map[string]bool{
			"members": len(c.Members) > 0, "bootstrap": len(c.Bootstrap) > 0, "listen": !slices.Equal(c.Listen, DefaultConfig("").Listen),
		} {
			if given {
				wrong.add(fmt.Errorf("%s: given without audit_tasklist_id: name the tasklist, without which no network is opened", key))
			}
		}
		slices.Sort(wrong.list)
		return wrong
	}
	wrong.add(checkTasklistID(c.AuditTasklistID))
	for _, s := range c.Listen {
		if err := checkListen(s); err != nil {
			wrong.add(fmt.Errorf("listen address %q: %w; write it as /ip4/127.0.0.1/tcp/7946 or /ip4/127.0.0.1/udp/7946/quic-v1", s, err))
		}
	}
	for _, s := range c.Bootstrap {
		if _, err := bootstrapPeer(s); err != nil {
			wrong.add(fmt.Errorf("bootstrap address %q: %w; write it as /ip4/192.0.2.1/tcp/7946/p2p/12D3…, as `auditmesh status` of that node shows it", s, err))
		}
	}
	for _, s := range c.Members {
		if _, err := merkle.PeerKey(s); err != nil {
			wrong.add(fmt.Errorf("members: %w; write it as `auditmesh init` of that node prints it", err))
		}
	}
	for key, list := range map[string][]string{"listen": c.Listen, "bootstrap": c.Bootstrap, "members": c.Members} {
		if twice := repeated(list); twice != "" {
			wrong.add(fmt.Errorf("%s: %q is there twice", key, twice))
		}
	}
	return wrong
}

// checkTasklistID refuses what no tasklist is called.
func checkTasklistID(id string) error {
	switch {
	case len(id) > maxTasklistID:
		return fmt.Errorf("audit_tasklist_id: it has %d bytes, and at most %d may be", len(id), maxTasklistID)
	case strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("audit_tasklist_id: %q has a control character", id)
	case strings.TrimSpace(id) != id:
		return fmt.Errorf("audit_tasklist_id: %q begins or ends with a space, and would be another tasklist than without", id)
	}
	return nil
}

// repeated is the first of a list that is there before, empty if none is.
func repeated(list []string) string {
	for i, s := range list {
		if slices.Contains(list[:i], s) {
			return s
		}
	}
	return ""
}

// shape is the names of an address's protocols, as in "ip4/tcp".
func shape(a ma.Multiaddr) string {
	var parts []string
	ma.ForEach(a, func(c ma.Component) bool {
		parts = append(parts, c.Protocol().Name)
		return true
	})
	return strings.Join(parts, "/")
}

func isShape(got string, heads []string, tail string) bool {
	for _, head := range heads {
		for _, t := range transports {
			if got == head+"/"+t+tail {
				return true
			}
		}
	}
	return false
}

func parseAddress(s string) (ma.Multiaddr, error) {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("failed to parse multiaddr %q: ", s)))
	}
	return a, nil
}

func checkListen(s string) error {
	a, err := parseAddress(s)
	if err != nil {
		return err
	}
	switch got := shape(a); {
	case isShape(got, hosts, ""):
		return nil
	case isShape(got, hosts, "/p2p"):
		return errors.New("without the /p2p/ part, since one listens as oneself alone")
	case isShape(got, names, ""):
		return errors.New("an IP address is wanted, since one cannot listen on a name")
	}
	return errors.New("not an address that this node can listen on")
}

// bootstrapPeer is the peer id at the end of a bootstrap address.
func bootstrapPeer(s string) (string, error) {
	a, err := parseAddress(s)
	if err != nil {
		return "", err
	}
	id, err := a.ValueForProtocol(ma.P_P2P)
	if err != nil {
		return "", errors.New("it has no /p2p/<peer id> at its end, and nobody knows whom to expect there")
	}
	if !isShape(shape(a), append(hosts, names...), "/p2p") {
		return "", errors.New("not an address that this node can dial")
	}
	for _, p := range []int{ma.P_TCP, ma.P_UDP} {
		if port, err := a.ValueForProtocol(p); err == nil && port == "0" {
			return "", errors.New("port 0 is none: name the port on which that node listens")
		}
	}
	for _, p := range []int{ma.P_IP4, ma.P_IP6} {
		if ip, err := a.ValueForProtocol(p); err == nil && net.ParseIP(ip).IsUnspecified() {
			return "", fmt.Errorf("%s is every address and none: name that node's own", ip)
		}
	}
	return id, nil
}
