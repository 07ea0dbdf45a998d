import Testing
import VarveCore
import VarveModel

@testable import VarveNode

@Suite struct BreadcrumbFileTests {
    private let database = DatabaseID(high: 7, low: 8)
    private func at(_ offset: Int64) -> Position { Position(.first, Offset(offset)) }

    private func open(_ path: String, _ id: DatabaseID? = nil, version: String = "1") throws -> BreadcrumbFile {
        try BreadcrumbFile(in: path + "/node", database: id ?? database, version: version)
    }

    @Test func whatAProcessWasApplyingIsFoundByTheNext() async throws {
        try await withScratch { path in
            let first = try open(path)
            #expect(first.found == Breadcrumb())
            first.begin(at(3), at(9))
            #expect(try open(path).found == Breadcrumb(applying: at(3)...at(9)))
            // Told once: whoever goes on says so itself.
            let third = try open(path)
            #expect(third.found == Breadcrumb())
            third.begin(at(3), at(3))
            third.end()
            #expect(try open(path).found == Breadcrumb())
        }
    }

    @Test func aSuspectStaysUntilItIsCleared() async throws {
        try await withScratch { path in
            try open(path).suspect(Breadcrumb.Suspect(at(0), crashes: 2))
            for _ in 0..<2 { #expect(try open(path).found.suspect == Breadcrumb.Suspect(at(0), crashes: 2)) }
            try open(path).suspect(nil)
            #expect(try open(path).found == Breadcrumb())
        }
    }

    @Test func aBlockThatWasBeingEncodedIsFoundByTheNext() async throws {
        try await withScratch { path in
            try open(path).beginEncoding(BlockNumber(3))
            let second = try open(path)
            #expect(second.found == Breadcrumb(encoding: BlockNumber(3)))
            second.suspectBlock(Breadcrumb.SuspectBlock(BlockNumber(3), crashes: 1))
            second.beginEncoding(BlockNumber(3))
            second.endEncoding()
            let third = Breadcrumb(suspectBlock: Breadcrumb.SuspectBlock(BlockNumber(3), crashes: 1))
            for _ in 0..<2 { #expect(try open(path).found == third) }
            #expect(try open(path, version: "2").found == Breadcrumb())
        }
    }

    @Test func anotherVersionTriesAgainAndAnotherDatabaseKnowsNothing() async throws {
        try await withScratch { path in
            let first = try open(path)
            first.suspect(Breadcrumb.Suspect(at(4), crashes: 2))
            first.begin(at(4), at(4))
            // What ended one version may not end another; that it was being applied still makes it careful.
            #expect(try open(path, version: "2").found == Breadcrumb(applying: at(4)...at(4)))
            try open(path).suspect(Breadcrumb.Suspect(at(4), crashes: 2))
            #expect(try open(path, DatabaseID(high: 1, low: 1)).found == Breadcrumb())
        }
    }
}
