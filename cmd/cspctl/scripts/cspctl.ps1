# PowerShell completion for cspctl

Register-ArgumentCompleter -Native -CommandName 'cspctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or ($wordToComplete -eq '' -and $_.Extent.EndOffset -le $cursorPosition) } |
        ForEach-Object { $_.ToString() })
    $command = $words[0]
    $before = @($words | Select-Object -Skip 1)
    $found = @(& $command __complete @before "=$wordToComplete" 2>$null)

    if ($found.Count -gt 0 -and $found[0] -eq ':file') {
        return # PowerShell completes paths by itself
    }
    $found | Where-Object { $_ } | ForEach-Object {
        $word, $about = $_ -split "`t", 2
        if (-not $about) { $about = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
    }
}
