// A busy program with Google's own agent for Go, which is led to a local service: in
// plaintext, and without credentials.
package main

import (
	"crypto/sha256"
	"log"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/profiler"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var kept [][]byte

func keepMemory() {
	for i := 0; i < 64; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
}

func hashBlocks(lock *sync.Mutex) {
	block := make([]byte, 1<<16)
	for {
		lock.Lock()
		sha256.Sum256(block)
		lock.Unlock()
		block = append([]byte(nil), block...)
	}
}

func main() {
	config := profiler.Config{
		Service:        "go-shop",
		ServiceVersion: "1.2",
		ProjectID:      "local-1",
		Zone:           "here",
		MutexProfiling: true,
		DebugLogging:   true,
	}
	err := profiler.Start(config,
		option.WithEndpoint(os.Args[1]),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(
			grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		log.Fatal(err)
	}
	keepMemory()
	var lock sync.Mutex
	go hashBlocks(&lock)
	go hashBlocks(&lock)
	time.Sleep(time.Hour)
}
