# The two functions that scripts for VMware Cloud Services call, by the names
# that they know from the module VMware.CSP. There they take the API token; here
# they take a profile, and the API token stays in the agent's store. All else is
# cspctl's to do: its warnings and errors are on stderr, as ever.

Set-StrictMode -Version Latest

# Invoke-CspCtl runs cspctl and returns what it printed. A failure is an error
# that ends the caller, with cspctl's exit code in it.
function Invoke-CspCtl {
    param([Parameter(Mandatory)][string[]]$Arguments)

    if (-not (Get-Command cspctl -CommandType Application -ErrorAction SilentlyContinue)) {
        throw 'cspctl is not on the PATH: install it, or add its folder to $env:PATH'
    }
    $printed = & cspctl @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "cspctl $($Arguments[0]) ended with exit code $LASTEXITCODE"
    }
    $printed -join "`n"
}

# Deny-APIToken says what to do instead of passing an API token, and does not
# repeat it.
function Deny-APIToken {
    param([string]$Caller)

    throw "$Caller takes no API token: store it once, by 'cspctl login NAME', and call $Caller -Profile NAME"
}

# ConvertTo-LocalTime reads a time in JSON: text in Windows PowerShell, a
# DateTime in PowerShell 7. Nothing stays nothing.
function ConvertTo-LocalTime {
    param($Time)

    if ($Time -is [datetime]) { return $Time.ToLocalTime() }
    if ($Time) {
        [datetime]::Parse($Time, [cultureinfo]::InvariantCulture, [Globalization.DateTimeStyles]::RoundtripKind).ToLocalTime()
    }
}

function Get-CSPAccessToken {
    <#
    .SYNOPSIS
        Sets $env:cspAuthToken to an access token of a profile.
    .DESCRIPTION
        Asks csp-agent, which keeps the token and renews it: call this before each
        step of a long script. $global:cspConnection.headers is set as well, for
        scripts that take their headers from there.
    .PARAMETER ProfileName
        The profile, as named at 'cspctl login'. Without it, the default one.
    .PARAMETER MinTTL
        The life that the token must have left, such as 10m. Without it, 5 minutes.
    .PARAMETER PassThru
        Returns the token, too.
    .EXAMPLE
        Get-CSPAccessToken -Profile prod
        Invoke-RestMethod https://vmc.vmware.com/vmc/api/orgs -Headers @{'csp-auth-token' = $env:cspAuthToken}
    #>
    [CmdletBinding(PositionalBinding = $false)]
    param(
        [Alias('Profile')][string]$ProfileName,
        [string]$MinTTL,
        [switch]$PassThru,
        # Old scripts pass the API token: here, or in the first place.
        [Parameter(Position = 0)]$RefreshToken
    )

    if ($PSBoundParameters.ContainsKey('RefreshToken')) { Deny-APIToken 'Get-CSPAccessToken' }
    $arguments = @('token')
    if ($MinTTL) { $arguments += "--min-ttl=$MinTTL" }
    if ($ProfileName) { $arguments += '--', $ProfileName }
    $token = Invoke-CspCtl $arguments

    $env:cspAuthToken = $token
    $global:cspConnection = [pscustomobject]@{
        headers = @{ 'csp-auth-token' = $token; 'Content-Type' = 'application/json'; 'Accept' = 'application/json' }
    }
    if ($PassThru) { return $token }
    Write-Host 'the access token is in $env:cspAuthToken'
}

function Get-CSPRefreshTokenExpiry {
    <#
    .SYNOPSIS
        Says when the API token of a profile was made, was last used, and expires.
    .DESCRIPTION
        Asks the server, through csp-agent. Times are local. ExpiryDate is empty
        where the API token never expires, or the server does not say.
    .PARAMETER ProfileName
        The profile, as named at 'cspctl login'. Without it, the default one.
    .EXAMPLE
        (Get-CSPRefreshTokenExpiry -Profile prod).ExpiryDate
    #>
    [CmdletBinding(PositionalBinding = $false)]
    param(
        [Alias('Profile')][string]$ProfileName,
        [Parameter(Position = 0)]$RefreshToken
    )

    if ($PSBoundParameters.ContainsKey('RefreshToken')) { Deny-APIToken 'Get-CSPRefreshTokenExpiry' }
    $arguments = @('details', '-o', 'json')
    if ($ProfileName) { $arguments += '--', $ProfileName }
    $details = Invoke-CspCtl $arguments | ConvertFrom-Json

    # A time that the server did not tell is missing from the JSON.
    $times = @{ last_used_at = $null; created_at = $null; at = $null }
    foreach ($from in @($details, $details.expiry)) {
        foreach ($field in @($from.PSObject.Properties)) {
            if ($times.ContainsKey($field.Name)) { $times[$field.Name] = ConvertTo-LocalTime $field.Value }
        }
    }
    [pscustomobject]@{
        LastUsedDate = $times.last_used_at
        CreatedDate  = $times.created_at
        ExpiryDate   = $times.at
    }
}

Export-ModuleMember -Function Get-CSPAccessToken, Get-CSPRefreshTokenExpiry
