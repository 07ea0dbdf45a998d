/// Checks of range, read, tails, trimming and closing.

import VarveLog
import VarveModel

extension LogContract {
    static let readChecks: [Check] = [
        Check("[R1] range ends above everything stored, and the next record is at or above its end") { bench in
            let (log, _) = try await bench.begun()
            for number in 0..<5 {
                let end = try await log.range().upperBound
                try await bench.append(records(number..<number + 1), to: log)
                let entry = try await log.read(at: end)
                try requireEqual(entry?.bytes, records(number..<number + 1)[0], "first record at or above the end")
                try require(
                    try await log.range().upperBound > (entry?.offset ?? end), "the end is not above what is stored")
            }
            await log.close()
        },
        Check("[R5] read gives the record at an offset or the first behind it, nil at the end") { bench in
            let (log, first) = try await bench.begun()
            try await bench.append(records(0..<200, bytes: 2000), to: log)
            let entries = try await bench.entries(of: log, from: first)
            for index in [0, 1, 77, 198, 199] {
                try requireEqual(try await log.read(at: entries[index].offset), entries[index], "record \(index)")
            }
            try requireEqual(try await log.read(at: try await log.range().upperBound), nil, "record at the end")
            let start = try await log.read(at: .zero)
            try requireEqual(start?.bytes, genesis(bench.subject.epoch), "first record")
            await log.close()
        },
        Check("[M1 N2] trimming forgets at most what is below") { bench in
            let (log, first) = try await bench.begun()
            try await bench.append(records(0..<100), to: log)
            let entries = try await bench.entries(of: log, from: first)
            await log.trim(below: entries[60].offset)
            let range = try await log.range()
            try require(range.lowerBound <= entries[60].offset, "trimming took more than it may")
            if range.lowerBound > .zero {
                let tail = try await log.tail(from: Offset(range.lowerBound.value - 1))
                try await requireError(.logGap, "a tail below the start") { try await tail.next()?.entries.count }
            }
            try requireEqual(
                try await bench.entries(of: log, from: entries[60].offset), Array(entries[60...]), "what is left")
            await log.trim(below: range.upperBound)
            try requireEqual(try await log.range().upperBound, range.upperBound, "end after trimming all")
            try await bench.append(records(100..<101), to: log)
            try requireEqual(
                try await log.read(at: range.upperBound)?.bytes, records(100..<101)[0], "record after trimming")
            await log.close()
        },
    ]

    static let tailChecks: [Check] = [
        Check("[N1] a tail starts anywhere, the end included") { bench in
            let (log, first) = try await bench.begun()
            try await bench.append(records(0..<100), to: log)
            let entries = try await bench.entries(of: log, from: first)
            for index in [0, 50, 99] {
                try requireEqual(
                    try await bench.entries(of: log, from: entries[index].offset), Array(entries[index...]),
                    "entries from record \(index)")
            }
            let tail = try await log.tail(from: try await log.range().upperBound)
            async let next = tail.next()
            try await bench.append(records(100..<101), to: log)
            try requireEqual(try await next?.entries.first?.bytes, records(100..<101)[0], "first record behind the end")
            await log.close()
        },
        Check("[N5] a tail waits for records and delivers each once, in order") { bench in
            let (log, first) = try await bench.begun()
            let tail = try await log.tail(from: first)
            let reader = Task {
                var seen: [Bytes] = []
                while seen.count < 500, let batch = try await tail.next() {
                    try require(!batch.entries.isEmpty || batch.suspicion != nil, "a tail delivered an empty batch")
                    seen += batch.entries.map(\.bytes)
                }
                return seen
            }
            for start in stride(from: 0, to: 500, by: 5) {
                try await bench.append(records(start..<start + 5), to: log)
                if start % 50 == 0 { await Task.yield() }
            }
            try requireEqual(try await reader.value, records(0..<500), "what the tail delivered")
            await log.close()
        },
        Check("[C2] tails are independent: a slow or closed one holds up no other") { bench in
            let (log, first) = try await bench.begun()
            let slow = try await log.tail(from: first)
            let closed = try await log.tail(from: first)
            await closed.close()
            try await bench.append(records(0..<300), to: log)
            try requireEqual(
                try await bench.entries(of: log, from: first).map(\.bytes), records(0..<300), "the quick tail")
            try requireEqual(try await slow.next()?.entries.first?.bytes, records(0..<1)[0], "the slow tail")
            try require(try await closed.next() == nil, "a closed tail delivered something")
            await log.close()
        },
        Check("[N4] a batch is bounded by some megabytes") { bench in
            let (log, first) = try await bench.begun()
            let size = min(900_000, bench.subject.bytesMax / 13)
            for start in stride(from: 0, to: 12, by: 4) {
                try await bench.append(records(start..<start + 4, bytes: size), to: log)
            }
            let tail = try await log.tail(from: first)
            var count = 0
            while count < 12, let batch = try await tail.next() {
                let bytes = batch.entries.reduce(0) { $0 + $1.bytes.count }
                try require(bytes <= 16 << 20, "a batch of \(bytes) bytes")
                count += batch.entries.count
            }
            try requireEqual(count, 12, "records delivered")
            await log.close()
        },
        Check("[N3 N10] a tail above the end is LOG_BEHIND, and then finished") { bench in
            let (log, first) = try await bench.begun()
            try await bench.append(records(0..<3), to: log)
            let end = try await log.range().upperBound
            let tail = try await log.tail(from: Offset(end.value + 1000))
            try await requireError(.logBehind, "a tail above the end") { try await tail.next()?.entries.count }
            try require(try await tail.next() == nil, "a tail went on after its error")
            try requireEqual(try await bench.entries(of: log, from: first).count, 3, "other tails")
            await log.close()
        },
        Check("[N11] closing a tail ends its waiting next, and may be repeated") { bench in
            let (log, first) = try await bench.begun()
            let tail = try await log.tail(from: first)
            let waiting = Task { try await tail.next() == nil }
            await Task.yield()
            await tail.close()
            try require(try await waiting.value, "a closed tail delivered something")
            await tail.close()
            try require(try await tail.next() == nil, "a closed tail delivered something")
            await log.close()
        },
        Check("[N6] cancelling the task ends a waiting next and nothing else") { bench in
            let (log, first) = try await bench.begun()
            let tail = try await log.tail(from: first)
            let other = try await log.tail(from: first)
            for pause in [false, true] {
                let waiting = Task { try await tail.next() == nil }
                if pause { try await Task.sleep(for: .milliseconds(20)) }
                waiting.cancel()
                try require(try await waiting.value, "a cancelled next delivered something")
            }
            async let next = other.next()
            try await bench.append(records(0..<1), to: log)
            try requireEqual(try await next?.entries.first?.bytes, records(0..<1)[0], "another tail's record")
            await log.close()
        },
    ]

    static let endChecks: [Check] = [
        Check("[E1 E3] close ends every tail and may be repeated") { bench in
            let (log, first) = try await bench.begun()
            let tails = [try await log.tail(from: first), try await log.tail(from: first)]
            let waiting = tails.map { tail in Task { try await tail.next() == nil } }
            try await Task.sleep(for: .milliseconds(20))
            await log.close()
            for task in waiting { try require(try await task.value, "a tail delivered something after close") }
            await log.close()
        },
        Check("[A3 R4] after close appends are refused and reads say NOT_READY") { bench in
            let (log, first) = try await bench.begun()
            await log.close()
            let results = await log.append(records(0..<2))
            try requireEqual(results.count, 2, "results after close")
            for result in results {
                guard case .refused(let error) = result else {
                    throw ContractViolation(description: "an append after close: \(result)")
                }
                try requireEqual(error.code, .notReady, "code of an append after close")
            }
            try await requireError(.notReady, "range after close") { try await log.range() }
            try await requireError(.notReady, "read after close") { try await log.read(at: first) }
            try await requireError(.notReady, "tail after close") { try await log.tail(from: first) }
        },
        Check("[E2 E4 F1] close waits for what is in flight: nothing comes later, and the log opens again at once") {
            bench in
            let (log, first) = try await bench.begun()
            let appends = (0..<20).map { caller in
                Task { (caller, await log.append(records(0..<5, "caller \(caller)"))) }
            }
            try await Task.sleep(for: .milliseconds(1))
            await log.close()
            // Before any report is looked at: what is not there now never comes.
            let again = try await bench.provider.open(bench.subject.epoch)
            let kept = try await bench.entries(of: again, from: first).map(\.bytes)
            var stored: Set<Bytes> = []
            var refused: Set<Bytes> = []
            for append in appends {
                let (caller, results) = await append.value
                try requireEqual(results.count, 5, "results of an append that close found in flight")
                for (record, result) in zip(records(0..<5, "caller \(caller)"), results) {
                    switch result {
                    case .stored: stored.insert(record)
                    case .refused: refused.insert(record)
                    case .unknown: break
                    }
                }
            }
            try require(stored.isSubset(of: kept), "a stored record is not in the log")
            try require(refused.isDisjoint(with: kept), "a refused record is in the log")
            try requireEqual(
                try await bench.entries(of: again, from: first).map(\.bytes), kept, "what the log holds a while later")
            await again.close()
        },
    ]
}
