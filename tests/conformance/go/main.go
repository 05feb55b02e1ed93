// Command main checks our log with Go's own implementation of the same formats.
//
// It reads a JSON object from standard input, verifies with golang.org/x/mod/sumdb/note and tlog
// what is in it, and writes what it found as JSON. It needs no module download: Debian's
// golang-golang-x-mod-dev in GOPATH mode is enough.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type inclusion struct {
	Index int64       `json:"index"`
	Entry []byte      `json:"entry"`
	Proof []tlog.Hash `json:"proof"`
}

type consistency struct {
	OldSize int64       `json:"old_size"`
	OldRoot tlog.Hash   `json:"old_root"`
	Proof   []tlog.Hash `json:"proof"`
}

type tree struct {
	Checkpoint  string            `json:"checkpoint"`
	Tiles       map[string][]byte `json:"tiles"`
	Entries     [][]byte          `json:"entries"`
	Inclusion   []inclusion       `json:"inclusion"`
	Consistency []consistency     `json:"consistency"`
}

type input struct {
	Vkey  string   `json:"vkey"`
	Trees []tree   `json:"trees"`
	Paths []string `json:"paths"`
}

type output struct {
	Problems [][]string `json:"problems"`
	Checked  int        `json:"checked"`
	Vkey     string     `json:"vkey"`
	Note     string     `json:"note"`
	Paths    []string   `json:"paths"`
}

// tiles reads our files under Go's names, which have the height in them.
type tiles map[string][]byte

func ours(t tlog.Tile) string {
	return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func (ts tiles) Height() int                     { return height }
func (ts tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (ts tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, t := range wanted {
		content, ok := ts[ours(t)]
		if !ok {
			return nil, fmt.Errorf("no tile %s", ours(t))
		}
		data[i] = content
	}
	return data, nil
}

// open verifies a checkpoint and returns its size and root.
func open(text string, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// check returns what is wrong with a tree, and how many things were looked at.
func check(t tree, verifier note.Verifier) (problems []string, checked int) {
	problems = []string{}
	expect := func(err error, what string, args ...interface{}) {
		checked++
		if err != nil {
			problems = append(problems, fmt.Sprintf(what, args...)+": "+err.Error())
		}
	}
	head, err := open(t.Checkpoint, verifier)
	expect(err, "checkpoint")
	if err != nil {
		return problems, checked
	}
	for _, each := range t.Inclusion {
		leaf := tlog.RecordHash(each.Entry)
		expect(tlog.CheckRecord(each.Proof, head.N, head.Hash, each.Index, leaf), "entry %d", each.Index)
	}
	for _, each := range t.Consistency {
		expect(tlog.CheckTree(each.Proof, head.N, head.Hash, each.OldSize, each.OldRoot), "size %d", each.OldSize)
	}
	if t.Tiles == nil {
		return problems, checked
	}
	reader := tlog.TileHashReader(head, tiles(t.Tiles))
	for i, entry := range t.Entries {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(i))})
		if err == nil && hashes[0] != tlog.RecordHash(entry) {
			err = fmt.Errorf("the tile has another hash")
		}
		expect(err, "tile of entry %d", i)
	}
	for _, each := range t.Inclusion {
		proof, err := tlog.ProveRecord(head.N, each.Index, reader)
		if err == nil && fmt.Sprint(proof) != fmt.Sprint(tlog.RecordProof(each.Proof)) {
			err = fmt.Errorf("the tiles give another proof")
		}
		expect(err, "proof of entry %d", each.Index)
	}
	for _, each := range t.Consistency {
		proof, err := tlog.ProveTree(head.N, each.OldSize, reader)
		if err == nil && fmt.Sprint(proof) != fmt.Sprint(tlog.TreeProof(each.Proof)) {
			err = fmt.Errorf("the tiles give another proof")
		}
		expect(err, "proof of size %d", each.OldSize)
	}
	return problems, checked
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(in.Vkey)
	if err != nil {
		return err
	}
	out := output{Problems: [][]string{}, Paths: []string{}}
	for _, t := range in.Trees {
		problems, checked := check(t, verifier)
		out.Problems = append(out.Problems, problems)
		out.Checked += checked
	}
	for _, path := range in.Paths {
		parsed, err := tlog.ParseTilePath(strings.Replace(path, "tile/", fmt.Sprintf("tile/%d/", height), 1))
		if err != nil {
			return err
		}
		out.Paths = append(out.Paths, fmt.Sprintf("%d %d %d", parsed.L, parsed.N, parsed.W))
	}
	// The other way round: a note made here, to be opened there.
	skey, vkey, err := note.GenerateKey(rand.Reader, "go.example/log")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: "made by Go\n"}, signer)
	if err != nil {
		return err
	}
	out.Vkey, out.Note = vkey, string(signed)
	return json.NewEncoder(os.Stdout).Encode(out)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
