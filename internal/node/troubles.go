package node

import (
	"cmp"
	"time"

	"auditmesh/audit/merkle"
	"auditmesh/mirror"
)

// viewWait bounds how long a status waits for the view, so that the health of the
// log can be asked whatever the view does.
const viewWait = 2 * time.Second

// damaged is what does not work beside the log, with the reasons: copies, the view,
// and addresses of the mesh. asked is the error of a question to the view.
func (n *Node) damaged(asked error) map[string]string {
	all := n.holdings.Damaged()
	if why := cmp.Or(n.mirror.Err(), asked); why != nil {
		all["view ("+n.cfg.viewDir()+")"] = why.Error() + "; the log goes on, and this is tried again"
	}
	if n.mesh != nil {
		for addr, why := range n.mesh.Unheard() {
			all["mesh ("+addr+")"] = "it does not listen there: " + why + "; this is tried again"
		}
	}
	return all
}

// unseen are the logs as they are held, while the view does not answer: folded is
// what it last said.
func (n *Node) unseen(last []mirror.LogStatus) []mirror.LogStatus {
	was := make(map[merkle.LogName]mirror.LogStatus, len(last))
	for _, l := range last {
		was[l.Name] = l
	}
	list := []mirror.LogStatus{}
	for _, l := range n.holdings.Logs() {
		name, _ := l.Name()
		st := was[name]
		st.Name, st.First, st.Size, st.Signed = name, l.First(), l.Size(), l.SignedSize()
		list = append(list, st)
	}
	return list
}
