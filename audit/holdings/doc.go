// Package holdings is what a node has: its own log and the copies of others', the
// evidence of second histories, and what of it is offered to peers. The view and
// the mesh read it through interfaces of their own.
package holdings
