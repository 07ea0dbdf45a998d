import Glibc
import Testing
import VarveHarness
import VarveHTTPServer
import VarveTerminal

@testable import VarveCommand

@Suite struct ClusterTests {
    /// A port that is free, as is the next one; below those that the system gives to whoever asks for any, which other
    /// tests do meanwhile.
    private func freePort() async throws -> Int {
        for _ in 0..<100 {
            let port = UInt16.random(in: 20_000..<32_000)
            let servers = [port, port + 1].map { port in
                HTTPServer(
                    .init(host: "127.0.0.1", port: port), admit: { _ in .stream() }, handler: { _ in .text(200, "") })
            }
            let areFree = servers.allSatisfy { server in (try? server.start()) != nil }
            for server in servers { await server.stop(grace: .zero) }
            if areFree { return Int(port) }
        }
        throw Failure("no two ports are free", .failure)
    }

    private func isRunning(_ file: String) throws -> Bool {
        let id = try #require(pid_t(contents(file).trimmed))
        return kill(id, 0) == 0
    }

    @Test func nodesShareALogAndEndTogether() async throws {
        let port = try await freePort()
        try await withDirectory { directory in
            let (nodes, output) = ("\(directory)/cluster", "\(directory)/output")
            let arguments = ["cluster", "--nodes", "2", "--embedded", "--dir", nodes, "--base-port", "\(port)"]
            let cluster = try start(arguments, output: output)
            do {
                try #require(try await line("ready: 2 nodes", in: output, of: cluster) != nil, "\(contents(output))")
                let urls = (0..<2).map { "http://127.0.0.1:\(port + $0)" }
                let put = #"{"ops":[{"put":{"table":"users","docs":[{"_id":"ada"}]}}]}"#
                let committed = try await varve("tx", "-", "--url", urls[0], input: put)
                #expect(committed.code == 0)
                let position = committed.output.split(separator: " ")[1]
                let read = try await varve("get", "users", "ada", "--url", urls[1], "--after", String(position))
                #expect(read.output == "{\"_id\":\"ada\"}\n")
                let victim = try #require(pid_t(contents("\(nodes)/node-2.pid").trimmed))
                kill(victim, SIGKILL)
                #expect(try await line("node-2 ended with signal 9", in: output, of: cluster) != nil)
                #expect(try await varve("get", "users", "ada", "--url", urls[1], "--url", urls[0]).code == 0)
            } catch {
                await cluster.end(within: .seconds(20))
                throw error
            }
            cluster.send(SIGTERM)
            #expect(await cluster.wait() == .code(0))
            #expect(try !isRunning("\(nodes)/node-1.pid"))
            #expect(try !isRunning("\(nodes)/node-2.pid"))
            // Its log ended with it, its storage did not: a new epoch begins behind the block of the orderly end.
            let second = "\(directory)/output-2"
            let again = try start(arguments, output: second)
            do {
                try #require(try await line("ready: 2 nodes", in: second, of: again) != nil, "\(contents(second))")
                let url = "http://127.0.0.1:\(port + 1)"
                #expect(try await varve("get", "users", "ada", "--url", url).output == "{\"_id\":\"ada\"}\n")
                let status = try await varve("status", "--json", "--url", url).output
                #expect(status.contains("varve-log-e1"))
                #expect(!status.contains("nodes had applied up to"), "nothing is lost by an orderly end: \(status)")
            } catch {
                await again.end(within: .seconds(20))
                throw error
            }
            again.send(SIGTERM)
            #expect(await again.wait() == .code(0))
        }
    }

    @Test func nodesEndWithAClusterThatIsKilled() async throws {
        let port = try await freePort()
        try await withDirectory { directory in
            let (nodes, output) = ("\(directory)/cluster", "\(directory)/output")
            let cluster = try start(
                ["cluster", "--nodes", "1", "--dir", nodes, "--base-port", "\(port)"], output: output)
            try #require(try await line("ready: 1 node;", in: output, of: cluster) != nil, "\(contents(output))")
            let url = "http://127.0.0.1:\(port)"
            let put = { (id: String) in #"{"ops":[{"put":{"table":"users","docs":[{"_id":"\#(id)"}]}}]}"# }
            #expect(try await varve("tx", "-", "--url", url, input: put("ada")).code == 0)
            #expect(try await varve("blocks", "flush", "--url", url).code == 0)
            #expect(try await varve("tx", "-", "--url", url, input: put("bob")).code == 0)
            cluster.send(SIGKILL)
            _ = await cluster.wait()
            while try isRunning("\(nodes)/node-1.pid") { try await Task.sleep(for: .milliseconds(20)) }

            // Its log is gone with it: what no block had is lost, and every later look says so.
            let second = "\(directory)/output-2"
            let again = try start(
                ["cluster", "--nodes", "1", "--dir", nodes, "--base-port", "\(port)"], output: second)
            do {
                try #require(try await line("ready: 1 node;", in: second, of: again) != nil, "\(contents(second))")
                #expect(try await varve("get", "users", "ada", "--url", url).output == "{\"_id\":\"ada\"}\n")
                #expect(try await varve("get", "users", "bob", "--url", url).code == 1)
                let status = try await varve("status", "--json", "--url", url).output
                #expect(status.contains("epoch 1 begins behind 0-3"), "\(status)")
                #expect(status.contains("nodes had applied up to 0-4"), "\(status)")
                let epochs = try await varve("epoch", "status", "--config", "\(nodes)/node-1.yaml").output
                #expect(epochs.contains("yes: it ended with its process"), "\(epochs)")
            } catch {
                await again.end(within: .seconds(20))
                throw error
            }
            again.send(SIGTERM)
            #expect(await again.wait() == .code(0))
        }
    }

    @Test func aClusterThatNeverServedLeavesNothingBehind() async throws {
        let port = try await freePort()
        try await withDirectory { directory in
            let output = "\(directory)/output"
            let cluster = try ChildProcess(
                try programPath(), ["cluster", "--nodes", "1", "--kafka", "127.0.0.1:1", "--base-port", "\(port)"],
                environment: ["PATH": "/usr/bin:/bin", "TMPDIR": directory], output: output)
            func own() -> [String] { entries(directory).filter { $0.hasPrefix("varve-cluster-") } }
            while own().isEmpty {
                try #require(cluster.exit == nil, "\(contents(output))")
                try await Task.sleep(for: .milliseconds(10))
            }
            let made = try #require(own().first)
            while !contents("\(directory)/\(made)/node-1.log").contains("LOG_UNREACHABLE") {
                try #require(cluster.exit == nil, "\(contents(output))")
                try await Task.sleep(for: .milliseconds(10))
            }
            cluster.send(SIGTERM)
            #expect(await cluster.wait() == .code(0))
            #expect(own().isEmpty)
        }
    }

    /// One that says it is ready would be taken for the cluster's own.
    @Test func aPortThatIsTakenIsToldBeforeAnythingStarts() async throws {
        let server = HTTPServer(.init(host: "127.0.0.1"), admit: { _ in .stream() }, handler: { _ in .text(200, "{}") })
        try server.start()
        let port = server.port
        try await withDirectory { directory in
            let ran = try await varve(
                "cluster", "--nodes", "2", "--dir", "\(directory)/c", "--base-port", "\(port - 1)")
            #expect(ran.code == 1)
            #expect(ran.errors.hasPrefix("ADDRESS_IN_USE: 127.0.0.1:\(port) is in use by another process; next: "))
            #expect(ran.errors.contains("--base-port"))
            #expect(ran.output.isEmpty)
        }
        await server.stop(grace: .zero)
    }

    @Test func aNodeThatCannotStartEndsTheClusterWithItsReason() async throws {
        let port = try await freePort()
        try await withDirectory { directory in
            // What its node calls a storage is a file.
            try #require(mkdir("\(directory)/c", 0o755) == 0)
            try write("", to: "\(directory)/c/storage")
            let output = "\(directory)/output"
            let cluster = try start(
                ["cluster", "--nodes", "1", "--dir", "\(directory)/c", "--base-port", "\(port)"], output: output)
            #expect(await cluster.wait() == .code(1))
            #expect(contents(output).contains("node-1 ended with exit code 1: STORAGE_DENIED: "))
        }
    }
}
