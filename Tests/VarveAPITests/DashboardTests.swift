// The page at `/` as it is served; how it behaves in a browser is in ClusterTests.

import Testing
import VarveNode

@Suite struct DashboardTests {
    @Test func thePageIsServedWithoutATokenAndHoldsNoData() async throws {
        try await serving {
            $0.http.token = "s3cret-value"
        } _: { served in
            let answer = try await served.get("/")
            #expect(answer.status == 200)
            #expect(answer.headers["Content-Type"] == "text/html; charset=utf-8")
            #expect(answer.text.hasPrefix("<!doctype html>"))
            #expect(!answer.text.contains("node-1") && !answer.text.contains("s3cret"))
        }
    }

    @Test func thePolicyPermitsNothingFromOutsideAndNoInlineText() async throws {
        try await serving { served in
            let answer = try await served.get("/")
            let policy = try #require(answer.headers["Content-Security-Policy"])
            #expect(policy.hasPrefix("default-src 'none'; script-src 'sha256-"))
            #expect(policy.contains("connect-src 'self'") && !policy.contains("unsafe"))
            let outside = answer.text.replacing("http://www.w3.org/2000/svg", with: "")
            #expect(!outside.contains("http://") && !outside.contains("https://"))
        }
    }

    /// Whatever a document holds, no way leads from text to markup.
    @Test func theScriptNeverMakesHTMLOfText() async throws {
        try await serving { served in
            let page = try await served.get("/").text
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("] {
                #expect(!page.contains(way), "\(way)")
            }
        }
    }
}
