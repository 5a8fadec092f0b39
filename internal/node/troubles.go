package node

// troubles is what does not work beside the log, with the reasons: the view, and
// addresses of the mesh. Both are tried again.
func (n *Node) troubles() map[string]string {
	all := make(map[string]string)
	if err := n.mirror.Err(); err != nil {
		all["view "+n.cfg.viewDir()] = err.Error() + "; the log goes on, and this is tried again"
	}
	if n.mesh != nil {
		for addr, why := range n.mesh.Unheard() {
			all["mesh "+addr] = "it does not listen there: " + why + "; this is tried again"
		}
	}
	return all
}
