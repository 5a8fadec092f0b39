// Package follow copies the lines that another program appends to a file into a
// log, each once, over crashes of either side and rotation of the file.
package follow
