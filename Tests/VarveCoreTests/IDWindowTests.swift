import Testing
import VarveCore
import VarveModel

/// The window against a plain list: what is remembered, what is forgotten and the horizon, over many ids that collide.
@Suite struct IDWindowTests {
    private func decision(_ id: SubmissionID, _ offset: Int64, at time: Int64) -> Decision {
        Decision(
            id: id, position: Position(.first, Offset(offset)), systemTime: Instant(microseconds: time * 1000),
            effectiveTime: time, outcome: offset % 3 == 0 ? .aborted : .committed,
            requestDigest: offset % 5 == 0 ? nil : Bytes16(high: id.low, low: 7),
            failure: offset % 3 == 0
                ? Decision.Failure(code: .conflict, operation: Int(offset), detail: "of \(offset)") : nil,
            chainPrefix: UInt64(offset))
    }

    @Test(arguments: [(1 as UInt64, 100), (2, 7), (3, 3000)])
    func itRemembersWhatAListWould(seed: UInt64, limit: Int) {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var settings = Settings()
        settings.idsRemembered = UInt64(limit)
        settings.idsRememberedMs = 500
        var window = IDWindow(horizon: .zero, tag: LogTag(raw: seed))
        var list: [Decision] = []
        var horizon = Position.zero
        var time: Int64 = 0
        for offset in 1...20_000 as ClosedRange<Int64> {
            time += Int64(random(3)) + (random(2_000) == 0 ? 400 : 0)
            // Few different halves, so that many share their first places.
            let id = SubmissionID(high: random(4), low: UInt64(offset))
            let added = decision(id, offset, at: time)
            window.add(added, settings)
            list.append(added)
            while list.count > limit || time - list[0].effectiveTime > 500 {
                horizon = list.removeFirst().position
            }
            guard offset % 97 == 0 || offset > 19_990 else { continue }
            #expect(window.count == list.count)
            #expect(window.horizon == horizon)
            for known in list where random(16) == 0 || list.count < 20 { #expect(window[known.id] == known) }
            #expect(!window.remembers(SubmissionID(high: 9, low: UInt64(offset))))
        }
        #expect(window.kept == list)
    }

    @Test func whatIsRestoredIsRememberedAndForgottenInItsTurn() {
        var settings = Settings()
        settings.idsRemembered = 2
        var window = IDWindow(horizon: .zero, tag: .none)
        let ids = (0..<4).map { SubmissionID(high: 0, low: UInt64($0)) }
        for (i, id) in ids.prefix(3).enumerated() { window.restore(decision(id, Int64(i + 1), at: 0)) }
        #expect(window.count == 3)
        window.add(decision(ids[3], 9, at: 0), settings)
        #expect(ids.map { window.remembers($0) } == [false, false, true, true])
        #expect(window.horizon == Position(.first, Offset(2)))
    }
}
